"""D5: news that contradicts the way of things has an outcome with a name, and breaks nothing."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tally.simulator.poison import send_result
from tally.simulator.records import SEND_RESULTS, WEBHOOK_EVENTS, RawRecord, as_producers_write
from tests.faults.groups.broken_calls import CAMPAIGN, TENANT, attempts, broken_calls
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.scrapes import read
from tests.faults.stack import stack
from tests.support.keys import answers_of
from tests.support.webhooks import NUMBER, body, messages, status

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

AT_S = 1_795_350_000
STATUSES = ("sent", "delivered", "read", "played", "failed")
READ = "sent delivered delivered_implied read"
OUTCOMES = {
    frozenset({"sent"}): "sent",
    frozenset({"delivered"}): "sent delivered",
    frozenset({"read"}): READ,
    frozenset({"played"}): READ,
    frozenset({"failed"}): "failed_after_send",
    frozenset({"sent", "delivered"}): "sent delivered",
    frozenset({"sent", "read"}): READ,
    frozenset({"sent", "played"}): READ,
    frozenset({"sent", "failed"}): "sent failed_after_send",
    frozenset({"delivered", "read"}): "sent delivered read",
    frozenset({"delivered", "played"}): "sent delivered read",
    frozenset({"delivered", "failed"}): "sent delivered failed_then_delivered",
    frozenset({"read", "played"}): READ,
    frozenset({"read", "failed"}): f"{READ} failed_then_delivered",
    frozenset({"played", "failed"}): f"{READ} failed_then_delivered",
}
"""What a message counts of which these statuses came, whichever came first."""
NAMES = ("sent", "delivered", "delivered_implied", "read", "failed_after_send", "failed_then_delivered")
CALL_OUTCOMES = (
    *("answered", "busy", "no_answer", "rejected", "unreachable", "congestion", "call_cancelled"),
    "call_failed",
)
ORPHANS = 7
ANOTHER = "another tenant"


def sent_to(
    campaign: str, wamid: str, at_s: int = AT_S, number: str = NUMBER, tenant: str = TENANT
) -> RawRecord:
    result = send_result(
        tenant=tenant,
        campaign=campaign,
        contact={"id": wamid, "phone": f"+316{len(campaign):08d}"},
        message_id=wamid,
        phone_number_id=number,
        time=at_s * 1000,
    )
    return RawRecord(SEND_RESULTS, None, as_producers_write(result))


def told(wamid: str, name: str, at_s: int, number: str = NUMBER) -> RawRecord:
    part = status(id=wamid, status=name, timestamp=str(at_s))
    return RawRecord(WEBHOOK_EVENTS, None, body(messages(number, statuses=[part])))


def jumps() -> Iterator[RawRecord]:
    """Yield every pair of statuses in either order, the first one from before its message was accepted."""
    for first, then in product(STATUSES, STATUSES):
        wamid = f"wamid.{first}.{then}"
        yield told(wamid, first, AT_S - 20)
        yield sent_to(f"{first}-{then}", wamid)
        yield told(wamid, then, AT_S + 10)


def strays() -> Iterator[RawRecord]:
    """Yield statuses of messages that nobody sent, and ids that are used again."""
    for nth in range(ORPHANS):
        yield told(f"wamid.orphan.{nth}", "delivered", AT_S)
    yield sent_to("reused-first", "wamid.reused", AT_S)
    yield sent_to("reused-later", "wamid.reused", AT_S + 60)
    yield sent_to("reused-elsewhere", "wamid.reused", AT_S + 90, number="106540352249999")
    yield sent_to("foreign", "wamid.reused", AT_S + 90, tenant=ANOTHER)
    yield told("wamid.reused", "read", AT_S + 120)


async def test_every_pair_of_statuses_and_every_broken_call_has_an_outcome_with_a_name(
    tmp_path: Path,
) -> None:
    records = [*jumps(), *strays(), *broken_calls()]
    Random(551).shuffle(records)
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        await whole.start()
        await sender.send(records)
        await assert_exact(whole, whole.workers[0], sender.sent)
        async with answers_of(whole.workers[0]) as answers:
            totals = {one["campaign"]: one["totals"] for one in await answers.campaigns(TENANT)}
            (foreign,) = await answers.campaigns(ANOTHER)
        readings = await read(whole.workers[0])
        exits = whole.exits

    found = {pair: _counted(totals["-".join(pair)]) for pair in product(STATUSES, STATUSES)}
    assert found == {pair: OUTCOMES[frozenset(pair)] for pair in product(STATUSES, STATUSES)}
    assert readings.value("tally_waiting_states") == ORPHANS
    assert readings.value("tally_contested_messages") == 1
    reused = [totals[f"reused-{which}"] for which in ("first", "later", "elsewhere")]
    shown = ("attempts", "accepted", "claimed_elsewhere", "read")
    assert [tuple(one[name] for name in shown) for one in (*reused, foreign["totals"])] == [
        *((1, 1, 0, 1), (1, 0, 1, 0), (1, 1, 0, 0), (1, 0, 1, 0))
    ]
    calls = totals[CAMPAIGN]
    decided = sum(calls[name] for name in CALL_OUTCOMES)
    assert calls["requested"] == attempts()
    # Of some calls nothing but the wish for them is left: they were requested and not attempted.
    assert 0 < calls["attempted"] <= decided + calls["ended_unknown"]
    assert decided <= calls["requested"]
    assert exits == []


def _counted(totals: dict[str, Any]) -> str:
    return " ".join(name for name in NAMES if totals[name])
