"""D9: events that became dead letters, are mended and come again, and again."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tally.simulator.poison import send_result
from tally.simulator.records import SEND_RESULTS, WEBHOOK_EVENTS, RawRecord, as_producers_write
from tally.streams.operations.dead_letters import StoredDeadLetter
from tests.faults.groups.letters import kept
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.stack import Stack, stack
from tests.support.keys import answers_of
from tests.support.webhooks import NUMBER, body, messages, status

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

COUNTED_SECONDS = 60.0
TENANT, CAMPAIGN = "mended", "mended"
MESSAGES = 20
AT_S = 1_795_350_000


async def test_what_is_mended_and_published_twice_counts_once_and_its_good_parts_not_again(
    tmp_path: Path,
) -> None:
    """By hand: the bytes of the dead letters, mended, published as any other event."""
    broken = [*_without_time(), *_with_a_bad_neighbour()]
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        await whole.start()
        await sender.send(broken)
        await whole.counted(whole.workers[0], COUNTED_SECONDS)
        before, letters = await totals(whole), await kept(whole)
        mended = [_mended(letter) for letter in letters]
        for _ in range(2):
            await sender.send(mended)
            await whole.counted(whole.workers[0], COUNTED_SECONDS)
        await assert_exact(whole, whole.workers[0], sender.sent)
        after, kept_at_last = await totals(whole), await kept(whole)

    assert len(letters) == len(broken) == 2 * MESSAGES
    assert before == {}
    assert {name: after[name] for name in ("accepted", "sent", "delivered", "read")} == {
        "accepted": MESSAGES,
        "sent": MESSAGES,
        "delivered": MESSAGES,
        "read": MESSAGES,
    }
    assert kept_at_last == letters


def _without_time() -> list[RawRecord]:
    results = (
        send_result(
            tenant=TENANT,
            campaign=CAMPAIGN,
            contact={"id": nth, "phone": f"+316{nth:08d}"},
            message_id=f"wamid.mended.{nth}",
            time=...,
        )
        for nth in range(MESSAGES)
    )
    return [RawRecord(SEND_RESULTS, None, as_producers_write(result)) for result in results]


def _with_a_bad_neighbour() -> list[RawRecord]:
    """Return POSTs in which a good `delivered` stands beside a `read` without a time."""
    return [
        RawRecord(
            WEBHOOK_EVENTS,
            None,
            body(
                messages(
                    NUMBER,
                    statuses=[
                        status(id=f"wamid.mended.{nth}", status="delivered", timestamp=str(AT_S)),
                        status(id=f"wamid.mended.{nth}", status="read", timestamp="soon"),
                    ],
                )
            ),
        )
        for nth in range(MESSAGES)
    ]


def _mended(letter: StoredDeadLetter) -> RawRecord:
    """Return the original event with the time that it lacked."""
    if "send-results" in letter.origin:
        return RawRecord(
            SEND_RESULTS, letter.key, orjson.dumps(orjson.loads(letter.value) | {"time": AT_S * 1000})
        )
    return RawRecord(WEBHOOK_EVENTS, letter.key, letter.value.replace(b'"soon"', b'"%d"' % (AT_S + 60)))


async def totals(whole: Stack) -> Any:
    """Return the totals of the campaign, nothing where nothing is known of it."""
    async with answers_of(whole.workers[0]) as answers:
        return next((one["totals"] for one in await answers.campaigns(TENANT)), {})
