"""A4: exceptions that nobody expects, once and for ever: the process ends, or the fact is quarantined."""

from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from tally.schemas.facts import MESSAGE
from tally.schemas.tables import INCOMPLETE, table_of
from tally.schemas.topics import STATES
from tally.schemas.wamids import message_key
from tally.simulator.poison import send_result
from tally.simulator.records import SEND_RESULTS, RawRecord, as_producers_write
from tally.streams.operations import dead_letters
from tally.tables.kafka.read_to_end import read_to_end
from tests.faults.flow import enough
from tests.faults.groups.striking import loaded, measured, strike
from tests.faults.judging import assert_exact, verdict
from tests.faults.oracle import Sender
from tests.faults.points import POINTS
from tests.faults.stack import Stack, stack
from tests.support.judge import simulated
from tests.support.keys import answers_of

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(400)]

WRONG = 70
PER_SECOND = 80
EXIT_SECONDS = 10.0
EXITS = 3
"""So often a fact may end a process before it is quarantined, at most."""

TENANT, CAMPAIGN, NUMBER = "tenant-0", "with a defect", "106540352242922"
BAD = "the one"
SUBJECT = message_key(NUMBER, f"wamid.{BAD.encode().hex()}")


async def test_an_exception_at_any_point_ends_the_process_within_ten_seconds_and_is_exact(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path) as whole, Sender(whole.settings) as sender:
        await whole.start()
        async with loaded(sender, enough(407, 120, PER_SECOND), PER_SECOND):
            blows = []
            for number, point in enumerate(POINTS):
                worker = whole.workers[number % 2]
                # The one that ended before last works again: whoever is wrong ends, and is not left behind.
                await whole.ready(worker)
                blows.append(await strike(whole, worker, point, "raise", WRONG))
        await assert_exact(whole, whole.workers[0], sender.sent)
    ended = {blow.point: blow.exit_seconds for blow in blows}
    measured("A4 ended", ended)

    assert ended.keys() == set(POINTS)
    assert max(ended.values()) <= EXIT_SECONDS, ended


async def test_a_fact_that_family_code_cannot_take_is_quarantined_at_the_third_try_and_all_others_count(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path) as whole, Sender(whole.settings) as sender:
        for worker in whole.workers:
            worker.poison(BAD)
        records = simulated(408)
        half = len(records) // 2
        sent = [sent_to(contact) for contact in ("one before", BAD, "one after")]
        await whole.start()
        await sender.send([*records[:half], *sent, *records[half:]], 500)
        found = await verdict(whole, whole.workers[0], sender.sent)
        receipt, counters, others = await _answer(whole)
        letters = await dead_letters.read(whole.settings)
        marked, copies = await _marked(whole), await _copies(whole)

    assert found.audit.drift == []
    assert {difference.key[:2] for difference in found.differences} == {(TENANT, CAMPAIGN)}
    assert counters["accepted"] == len(sent) - 1
    assert counters["contacts"] == len(sent)
    # A process that ends has perhaps not yet said how far route came: the fact is said once more then, and
    # each copy is tried and quarantined as the first.
    assert copies >= 1
    # The subject is incomplete once, and for nobody else.
    assert (receipt["state"], receipt["incomplete"]) == ("incomplete", 1)
    assert others["state"] == "live"
    assert [code for _, code in whole.exits] == [WRONG] * (EXITS - 1) * copies
    assert [letter.origin.partition("/")[0] for letter in letters if letter.reason == "code_failure"] == [
        whole.settings.names.facts
    ] * copies
    assert marked == {MESSAGE + SUBJECT}


def sent_to(contact: str) -> RawRecord:
    """Return an accepted send to a contact of a campaign of its own."""
    result = send_result(
        tenant=TENANT,
        campaign=CAMPAIGN,
        contact={"id": contact, "phone": f"+316{crc32(contact.encode())}"},
        phone_number_id=NUMBER,
        message_id=f"wamid.{contact.encode().hex()}",
    )
    return RawRecord(SEND_RESULTS, None, as_producers_write(result))


async def _answer(whole: Stack) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the campaign's receipt and totals, and the receipt of another tenant."""
    async with answers_of(whole.workers[0]) as answers:
        shown = await answers.get(f"/v1/tenants/{TENANT}/campaigns/{CAMPAIGN.replace(' ', '%20')}")
        others = await answers.get("/v1/tenants/tenant-1/campaigns")
    return shown["receipt"], shown["totals"], others["receipt"]


async def _marked(whole: Stack) -> set[bytes]:
    """Return which subjects are known to be incomplete."""
    settings = whole.settings
    states = read_to_end(settings.kafka, [settings.names.changelog(STATES)], 30.0)
    return {record.key[1:] async for record in states if table_of(record.key) == INCOMPLETE}


async def _copies(whole: Stack) -> int:
    """Return how often the facts log holds the fact that cannot be taken."""
    settings = whole.settings
    facts = read_to_end(settings.kafka, [settings.names.facts], 30.0)
    return len([fact async for fact in facts if fact.key == SUBJECT and fact.value.startswith(MESSAGE)])
