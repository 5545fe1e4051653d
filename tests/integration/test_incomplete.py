"""`tally incomplete` lists what is missing and acknowledges it in every view; later losses still show."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from tally.agents.fold.failure import FamilyFailure
from tally.agents.view.lacks import Lack
from tally.agents.view.model import View
from tally.schemas.facts import MESSAGE
from tally.schemas.missing import is_missing
from tally.schemas.notices import CODE_FAILURE, LOST_RECORDS, NOTICE, Reading
from tally.schemas.records import KeyedFact, Origin
from tally.schemas.topics import COUNTERS
from tally.streams.cli.main import application
from tally.streams.operations.doctor import SomethingMissing, what_is_missing
from tally.streams.operations.looks import Looks
from tally.streams.settings import Settings, variable
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.kafka.read_to_end import read_to_end
from tally.tables.store.partition import PartitionStore
from tests.support.partition import Record
from tests.support.stored_partition import KEY, fold_once, store_settings

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]

PLACE, AT_MS = b"send-results/3", 1_795_000_000_000
ID = "lost_records/send-results/3"


def lost(start: int, to: int) -> KeyedFact:
    return KeyedFact(
        NOTICE, b"send-results/3", Reading("send-results", 3, "id", 1_795_000_000_000, None, (start, to))
    )


async def fold(settings: Settings, folder: Path) -> None:
    """Let a process fold whatever the facts log holds that is not counted yet."""
    facts = [
        Record(record.offset, record.key, record.value)
        async for record in read_to_end(settings.kafka, [settings.names.facts], 30)
    ]
    for _ in range(3):  # what our own code cannot take ends a process twice
        store = PartitionStore(store_settings(settings, folder), 0)
        with suppress(FamilyFailure):
            await fold_once(store, facts, [])


async def lack(settings: Settings) -> Lack:
    """Return what a view of these topics lacks."""
    view = View(1)
    async for record in read_to_end(settings.kafka, [settings.names.changelog(COUNTERS)], 30):
        if is_missing(record.key):
            view.apply(0, record.key, record.value)
    return view.lacks.all


async def tally(settings: Settings, *arguments: str) -> Result:
    environment = {
        variable("kafka_bootstrap"): settings.kafka_bootstrap,
        variable("topic_prefix"): settings.topic_prefix,
        variable("partitions"): "1",
    }
    return await asyncio.to_thread(
        lambda: CliRunner().invoke(application(), ["incomplete", *arguments], env=environment)
    )


async def listed(settings: Settings) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads((await tally(settings, "list", "--json")).stdout)
    return found


async def test_what_is_missing_is_listed_and_can_be_acknowledged_and_what_is_new_is_not(
    facts: FactsLog, settings: Settings, tmp_path: Path
) -> None:
    assert await listed(settings) == []
    assert await what_is_missing(Looks(settings)) == "nothing"
    await facts.append([(lost(30, 100), Origin(1_795_000_000_000))])
    await fold(settings, tmp_path / "a")
    (line,) = await listed(settings)
    assert line == {
        "id": ID,
        "kind": LOST_RECORDS,
        "scope": "send-results[3]",
        "count": 70,
        "of": "raw records",
        "since": "2026-11-18T11:06:40+00:00",
        "acknowledged": 0,
        "note": "",
    }
    with pytest.raises(SomethingMissing, match="70 of 70 raw records lost_records"):
        await what_is_missing(Looks(settings))

    told = await tally(settings, "acknowledge", ID, "--note", "a disk of november")
    assert (told.exit_code, "70 raw records" in told.stdout) == (0, True)
    assert await lack(settings) == Lack({LOST_RECORDS: 70})
    # Another owner, without a local copy.
    await fold(settings, tmp_path / "b")
    assert await lack(settings) == Lack({}, {LOST_RECORDS: 70})
    assert "acknowledged" in await what_is_missing(Looks(settings))

    await facts.append([(lost(200, 205), Origin(1_795_000_000_001))])
    await fold(settings, tmp_path / "b")
    (line,) = await listed(settings)
    assert (line["count"], line["acknowledged"], line["note"]) == (75, 70, "a disk of november")
    assert await lack(settings) == Lack({LOST_RECORDS: 5}, {LOST_RECORDS: 70})
    table = await tally(settings, "list")
    assert "1 lines, 1 not acknowledged" in table.stdout


async def test_subjects_are_listed_by_whose_they_are(
    facts: FactsLog, settings: Settings, tmp_path: Path
) -> None:
    await facts.append([(KeyedFact(MESSAGE, KEY, "no fact of ours"), Origin(1_795_000_000_000))])  # type: ignore[arg-type]
    await fold(settings, tmp_path / "a")
    (line,) = await listed(settings)
    assert (line["id"], line["kind"], line["scope"]) == ("code_failure//", CODE_FAILURE, "everybody")
    assert (line["count"], line["of"]) == (1, "subjects")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("acknowledge", "lost_records/send-results/9", "--note", "x"), 1, "nothing is missing under"),
        (("acknowledge", ID, "--note", "  "), 2, "--note must hold"),
        (("acknowledge", ID), 2, "--note"),
    ],
)
async def test_a_wrong_command_says_what_was_expected(
    facts: FactsLog, settings: Settings, arguments: tuple[str, ...], code: int, told: str
) -> None:
    answer = await tally(settings, *arguments)
    assert answer.exit_code == code
    assert told in answer.output
