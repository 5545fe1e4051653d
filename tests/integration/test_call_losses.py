"""Restarts, gaps, copies, bad records, and whole sessions.

Every number was worked out by hand from docs/calls.md; the fold and plain SQL have to agree with it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.call_judges import OF_CALLS, Counters, Recount, Recounted, by_sql, counted, folded
from tests.support.call_packets import (
    CUSTOMER,
    PBX,
    UP,
    Body,
    Event,
    answered,
    answers,
    as_json,
    born,
    full_story,
    fully_booted,
    lines_of,
    listed,
    packet,
    response,
    rings,
    send,
)
from tests.support.cells import differing, folded_cells, recounted_cells

RESYNCS: dict[str, tuple[list[Event], dict[str, int]]] = {
    "a restart": ([fully_booted(100, 80)], {"ended_unknown": 1}),
    "a login to a server that runs since before": ([fully_booted(100, 3600)], {}),
    "a restart too close": ([fully_booted(100, 97)], {}),
    "a list without it": (listed(60), {"ended_unknown": 1}),
    "a list that came at once": (listed(3), {}),
    "a list with it": (listed(60, CUSTOMER), {}),
}


@pytest.mark.parametrize(("resync", "unknown"), RESYNCS.values(), ids=RESYNCS)
def test_a_channel_last_seen_before_a_resync_ended_unknown(
    recount: Recount, resync: list[Event], unknown: dict[str, int]
) -> None:
    stats = recount(send(), *rings(0, CUSTOMER), *answers(2.5, CUSTOMER), *resync)

    assert stats["c1"] == {**UP, **unknown}


def test_an_unanswered_call_that_is_gone_has_no_outcome(recount: Recount) -> None:
    stats = recount(send(), *rings(0, CUSTOMER), response(3, 5), fully_booted(100, 10))

    assert stats["c1"] == {"requested": 1, "attempted": 1, "ended_unknown": 1}


def test_a_resync_of_another_pbx_says_nothing(recount: Recount) -> None:
    topic, body, headers = fully_booted(100, 10)
    stats = recount(send(), *rings(0, CUSTOMER), (topic, body, {**headers, "pbx": "pbx02"}))

    assert stats["c1"] == {"requested": 1, "attempted": 1}


def test_copies_of_two_collectors_change_nothing(recount: Recount) -> None:
    events = full_story()
    late = [(topic, body, {**headers, "received_at": "1999999999999"}) for topic, body, headers in events]

    assert recount(*events).everything == recount(*events, *late, *late).everything


def test_the_order_of_arrival_changes_nothing(recount: Recount) -> None:
    events = full_story()
    shuffled = list(events)
    Random(4).shuffle(shuffled)

    assert recount(*events).everything == recount(*shuffled).everything


def test_recounting_again_in_the_same_database_gives_the_same(recount: Recount) -> None:
    assert recount(*full_story()).everything == recount(*full_story()).everything


def test_without_timestamp_the_smallest_received_at_counts(recount: Recount) -> None:
    def unstamped(event: str, at: float, number: int) -> list[Event]:
        lines = lines_of(
            None, event, CUSTOMER.snapshot(state=number), **({"Cause": 16} if event == "Hangup" else {})
        )
        return [packet(lines, received_at=at + delay) for delay in (3, 0, 7)]

    stats = recount(
        send(), *unstamped("Newchannel", 0, 0), *unstamped("Newstate", 2, 6), *unstamped("Hangup", 9, 6)
    )

    assert stats["c1"] == {**UP, "connected_ms": 7_000, "hangup_causes": {"16": 1}}


def test_a_packet_as_json_is_the_same_packet(recount: Recount) -> None:
    events = [*full_story(), born(2.2, CUSTOMER, "CAMPAIGN_ID=c1", "CONTACT_ID=a", "ATTEMPT_ID=1")]
    once = recount(*events).everything

    assert recount(*map(as_json, events)).everything == once
    assert recount(*events, *map(as_json, events)).everything == once


def test_line_ends_and_the_case_of_keys_change_nothing(recount: Recount) -> None:
    events = full_story()
    other = [
        (
            topic,
            body
            if topic != "ami-events"
            else body.replace(b"\r\n", b"\n").replace(b"Uniqueid:", b"UNIQUEID:"),
            head,
        )
        for topic, body, head in events
    ]

    assert recount(*events).everything == recount(*other).everything


def test_bad_packets_count_nothing_and_disturb_nothing(recount: Recount) -> None:
    lines = lines_of(4, "Hangup", CUSTOMER.snapshot(), Cause=17)
    topic, body, headers = packet(lines)
    object_ = json.dumps(dict(lines)).encode()
    unstamped = packet([line for line in lines if line[0] != "Timestamp"])
    bad: list[Event] = [
        (topic, body, {}),
        unstamped,
        (topic, unstamped[1], {**headers, "received_at": "soon"}),
        (topic, body.replace(b"Timestamp: ", b"Timestamp: x"), headers),
        (topic, object_[:-1], headers),
        (topic, object_.replace(b'"17"', b"17"), headers),
        (topic, object_.replace(b'"17"', b'{"a": "17"}'), headers),
        (topic, b"", headers),
        (topic, b"Response: Success\r\nUniqueid: a\r\n", headers),
        (topic, b"\x00", headers),
    ]
    good = answered(5)

    assert recount(*good, *bad).everything == recount(*good).everything


def test_bad_send_results_count_nothing(recount: Recount) -> None:
    sends = [
        send(pbx=None),
        send(call=None),
        send(call={}),
        send(call={"channel_id": 7}),
        send(call={"channel_id": "a", "customer_leg": "third"}),
        send(contact="", pbx=PBX),
        send(campaign=None),
        send(time="yesterday"),
        send("answered"),
        send(channel="whatsapp"),
        send(template={"name": ""}),
        send("failed", error={"source": "carrier", "code": 1}),
    ]

    assert recount(*sends).everything == ([], [], [])


def test_an_attempt_that_never_reached_a_pbx_needs_none_and_counts_nothing_here(recount: Recount) -> None:
    stats = recount(send("skipped", pbx=None, call=None), send("queued", contact="b", pbx=None, call={}))

    assert not any(stats.scripts.values())


SAMPLES = Path(__file__).parent.parent / "samples" / "ami"
EXPECTED = sorted(SAMPLES.glob("*.expected.json"))


def recorded(file: str, received_at: int, pbx: str, step_ms: int = 0) -> Iterator[Event]:
    """Yield the packets of a recording, a JSON list or the bytes of a session after its banner."""
    content = (SAMPLES / file).read_bytes()
    bodies = (
        [json.dumps(fields).encode() for fields in json.loads(content)]
        if file.endswith(".json")
        else content.partition(b"\r\n")[2].split(b"\r\n\r\n")
    )
    for nth, body in enumerate(bodies):
        yield "ami-events", body, {"pbx": pbx, "received_at": str(received_at + nth * step_ms)}


def played(expected: Body, pbx: str = PBX) -> list[Event]:
    bodies = [{**body, "pbx": pbx} if body.get("pbx") == PBX else body for body in expected["sends"]]
    sends: list[Event] = [("send-results", json.dumps(body).encode(), {}) for body in bodies]
    return [*sends, *(event for one in expected["recordings"] for event in recorded(**one, pbx=pbx))]


def flat(counters: Counters) -> Counters:
    """Return the counters of calls with those of the maps beside them, as the expectations have them."""
    plain = {
        name: n
        for name, n in counters.items()
        if not isinstance(n, dict) and name.partition(".")[0] in OF_CALLS
    }
    maps = ((name, entries) for name, entries in counters.items() if isinstance(entries, dict))
    return plain | {f"{name}.{key}": n for name, entries in maps for key, n in entries.items()}


def by_script(stats: Recounted) -> dict[str, Counters]:
    return {f"{campaign}/{script}": flat(row) for (campaign, script), row in stats.scripts.items()}


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.name.removesuffix(".expected.json"))
def test_a_recorded_session_counts_what_its_story_says(recount: Recount, path: Path) -> None:
    expected = json.loads(path.read_bytes())
    stats = recount(*played(expected))

    assert by_script(stats) == {name: flat(row) for name, row in expected["campaigns"].items()}
    assert stats.operators == {name: counted(row) for name, row in expected["operators"].items()}


@pytest.mark.asyncio
async def test_every_cell_of_recorded_sessions_is_what_plain_sql_counts(recount_database: str) -> None:
    sessions = [json.loads(path.read_bytes()) for path in EXPECTED]
    events = [event for nth, one in enumerate(sessions) for event in played(one, f"pbx{nth:02}")]
    await by_sql(recount_database, events)
    expected = await recounted_cells(recount_database)

    assert expected.of_operators
    assert len({key[2] for key in expected.activity}) > 10
    assert differing(folded_cells([folded(events)]), expected) == []


def test_all_sessions_of_one_pbx_together_are_the_sum_of_each(recount: Recount) -> None:
    """Calls do not meet: not by the Uniqueid `<unknown>`, nor by names that come again."""
    whole = (path for path in EXPECTED if path.name.startswith(("ast22", "reconnect-both")))
    sessions = [json.loads(path.read_bytes()) for path in whole if "reconnect-part" not in path.name]
    total: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, row in (entry for one in sessions for entry in one["campaigns"].items()):
        total[name].update(flat(row))

    assert by_script(recount(*(event for one in sessions for event in played(one)))) == total
