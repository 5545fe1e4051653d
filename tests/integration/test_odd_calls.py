"""For small random calls that no PBX would make, the fold and plain SQL count the same.

A story is a handful of events and send results of five channels in any order; stories share a run of the
recount, and each has a PBX and campaigns of its own.
"""

import json
import random
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.support.call_judges import OF_CALLS, Counters, by_sql, counted_in, folded
from tests.support.call_packets import (
    Channel,
    Event,
    agent,
    ami,
    answers,
    born,
    dial,
    hangup,
    local,
    queue,
    request,
    response,
    send,
    state,
    talk,
    waits,
)
from tests.support.cells import differing, folded_cells, recounted_cells

STORIES = 60
SEEDS = (1, 2, 100)
VARIABLES = (
    *("CAMPAIGN_ID=c1", "CAMPAIGN_ID=c2", "CONTACT_ID=a", "CONTACT_ID=b"),
    *("ATTEMPT_ID=1", "ATTEMPT_ID=2", "TENANT_ID=t1", "TENANT_ID=t2", "SCRIPT_ID=s"),
)
OWNERS: tuple[dict[str, str], ...] = ({}, {"tenant": "t1"}, {"tenant": "t1", "tenants": "any"})
CALL_IDS = (
    {"action_id": "act-a"},
    {"action_id": "act-b", "channel_id": "b"},
    {"channel_id": "a"},
    {"channel_id": "l1"},
)
REASONS: tuple[int | str, ...] = (0, 0, 3, 4, 5, "")
NAMES = ("tenant", "campaign", "pbx", "operator", "template_name", "template_language")


def events_of(rng: random.Random) -> Iterator[Event]:
    first, operator = Channel("a"), Channel("b", "PJSIP/201-00000007", rng.choice(["a", "b"]))
    channels = [first, operator, Channel("c"), *local("9@d-0", "l1", "l2", rng.choice(["l1", "a"]))]
    for one in channels:
        if rng.random() < 0.7:
            yield born(rng.randrange(8) + rng.random(), one, *rng.sample(VARIABLES, rng.choice([0, 0, 2, 3])))
    for _ in range(rng.randrange(2, 10)):
        yield from event_of(rng, rng.randrange(12) + round(rng.random(), 5), *rng.sample(channels, 2))


def event_of(rng: random.Random, at: float, one: Channel, by: Channel) -> list[Event]:
    name, value = rng.choice(VARIABLES).split("=")
    action, unique = rng.choice(["act-a", "act-b"]), rng.choice(["a", "b", "<unknown>"])
    offered = rng.choice(["Called", "Connect", "RingNoAnswer"])
    return rng.choice(
        [
            [born(at, one, *rng.sample(VARIABLES, rng.randrange(4)))],
            [ami(at, "VarSet", one.snapshot(), Variable=name, Value=value)],
            [dial("DialBegin", at, one, by)],
            [dial("DialEnd", at, one, by, rng.choice(["BUSY", "NOANSWER", "CANCEL"]))],
            [dial("DialEnd", at, one, None, rng.choice(["NOANSWER", "CONGESTION"])), request(at, one)],
            answers(at, one, rng.choice([by, None])),
            [hangup(at, one, rng.choice([0, 16, 17, 19, 26]))],
            talk(at, at + 3, one, by, bridge=rng.choice(["b1", "b1", "b2"])),
            waits(at, at + 3, *rng.choice([(one,), (one, by)]), room=rng.choice(["lot", "b1"])),
            [
                queue(
                    at, rng.choice(["Join", "Leave", "Abandon"]), one, rng.choice(["sales", "sales", "care"])
                )
            ],
            [agent(at, offered, by, one, "PJSIP/201")],
            [response(at, rng.choice(REASONS), action, unique)],
            [request(at, one)],
            [ami(at, "HangupRequest", one.snapshot(), Cause=rng.choice([16, 17]))],
            [state(at, one, rng.choice([5, 6]))],
        ]
    )


def result_of(rng: random.Random) -> Event:
    fields: dict[str, Any] = {
        "tenant": rng.choice(["t1", "t1", "t2"]),
        "attempt": rng.choice("12"),
        "call": rng.choice(CALL_IDS),
        "pbx": rng.choice(["pbx01", "pbx01", "pbx01", "pbx02"]),
        "template": {"name": rng.choice("xy"), "language": rng.choice(["en", "pt-BR"])},
    }
    outcome = rng.choice(["requested", "accepted", "queued", "failed"])
    if outcome == "accepted" and rng.random() < 0.3:
        fields |= {
            "channel": "whatsapp",
            "phone_number_id": "n1",
            "message_id": str(rng.randrange(1_000_000)),
        }
    if outcome in ("queued", "failed") and rng.random() < 0.5:
        fields |= {"pbx": None, "call": None}
    return send(outcome, rng.randrange(10), rng.choice("ab"), **fields)


def story(rng: random.Random) -> list[Event]:
    owner, has_two = rng.choice(OWNERS), rng.random() < 0.2
    owners = [owner, {"tenant": "t2"}] if rng.random() < 0.2 else [owner]
    at = [{"pbx": "pbx01"}, {"pbx": "pbx02"}] if has_two else [{"pbx": "pbx01"}]
    told = [
        (topic, body, {**headers, **rng.choice(owners), **rng.choice(at)})
        for topic, body, headers in events_of(rng)
    ]
    told += [result_of(rng) for _ in range(rng.randrange(3))]
    rng.shuffle(told)
    return told


def apart(nth: int, event: Event) -> Event:
    """Return an event of a story of its own, with its own PBXs and campaigns."""
    topic, body, headers = event
    body = re.sub(rb"CAMPAIGN_ID=c(\d)|Value: c(\d)", lambda found: found[0] + b"-%d" % nth, body)
    if topic == "send-results":
        said = json.loads(body)
        pbx = said["pbx"] and f"{said['pbx']}-{nth}"
        body = json.dumps({**said, "pbx": pbx, "campaign": f"c1-{nth}"}).encode()
        return topic, body, headers
    return topic, body, {**headers, "pbx": f"{headers['pbx']}-{nth}"}


def named(rows: list[Counters]) -> dict[tuple[str, ...], Counters]:
    """Return what rows count, by what they are of; a row that counts nothing is none."""
    counted = (
        (
            tuple(row[name] for name in NAMES if name in row),
            {n: v for n, v in row.items() if n in OF_CALLS and v},
        )
        for row in rows
    )
    return {key: counts for key, counts in counted if counts}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.asyncio
async def test_both_judges_count_the_same_of_odd_calls(recount_database: str, seed: int) -> None:
    events = [apart(nth, event) for nth in range(STORIES) for event in story(random.Random(f"{seed}/{nth}"))]
    partition, sql = folded(events), await by_sql(recount_database, events)
    fold = counted_in(partition)

    for theirs, ours in zip(sql.everything, fold.everything, strict=True):
        assert named(ours) == named(theirs)
    assert fold.waiting == sql.waiting
    assert differing(folded_cells([partition]), await recounted_cells(recount_database)) == []
    adds_up(fold.campaigns.values())


def adds_up(rows: Iterable[Counters]) -> None:
    """Check that every join of a queue has one end: joins = connects + abandoned + timeouts + waiting."""
    for row in rows:
        ends: dict[str, int] = {}
        for name, n in row.get("queues", {}).items():
            queue, _, what = name.rpartition("/")
            signs = {"joins": 1, "connects": -1, "abandoned": -1, "timeouts": -1, "waiting": -1}
            ends[queue] = ends.get(queue, 0) + signs.get(what, 0) * n
        assert not any(ends.values())
