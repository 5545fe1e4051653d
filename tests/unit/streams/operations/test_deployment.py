"""The owner of a database, decided by the ids of brokers and database."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError

from tally.agents.sink.ports import SinkWriter
from tally.streams.operations.deployment import AGAIN_SECONDS, ForeignDatabase, OwnWriter
from tally.tables.postgres.deployment import Holds, Verdict, judge
from tally.tables.postgres.failures import Away


@pytest.mark.parametrize(
    ("of_brokers", "of_database", "holds", "verdict"),
    [
        (None, None, "nothing", "claim"),
        (None, None, "ours", "claim"),
        (None, None, "others", "foreign"),
        (None, "a", "nothing", "claim"),
        (None, "a", "ours", "claim"),
        (None, "a", "others", "foreign"),
        ("a", "a", "ours", "ours"),
        ("a", "b", "ours", "foreign"),
        ("a", None, "nothing", "foreign"),
        ("a", None, "ours", "restore"),
        ("a", None, "others", "foreign"),
    ],
)
def test_a_database_is_ours_by_its_id_and_where_one_is_missing_by_its_counters(
    of_brokers: str | None, of_database: str | None, holds: Holds, verdict: Verdict
) -> None:
    assert judge(of_brokers, of_database, holds) == verdict


class Asked:
    """Answers a check by a script, and stands in for a writer."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.now_s = 0.0
        self.reads = 0

    async def check(self) -> None:
        if (answer := self.answers.pop(0)) is not None:
            raise answer

    async def read_progress(self, _: Sequence[int]) -> dict[int, Any]:
        self.reads += 1
        return {}


def own(asked: Asked) -> OwnWriter:
    return OwnWriter(cast(SinkWriter, asked), asked.check, lambda: asked.now_s)


def test_a_database_is_looked_at_before_the_first_write_and_again_after_a_minute() -> None:
    asked = Asked(None, None)
    writer = own(asked)
    for now_s, left in ((0.0, 1), (AGAIN_SECONDS - 1, 1), (AGAIN_SECONDS, 0)):
        asked.now_s = now_s
        asyncio.run(writer.read_progress([0]))
        assert len(asked.answers) == left
    assert asked.reads == 3


def test_nothing_is_read_or_written_before_it_is_known_whose_database_it_is() -> None:
    asked = Asked(KafkaConnectionError(), ForeignDatabase("a", "b"))
    writer = own(asked)
    with pytest.raises(Away):
        asyncio.run(writer.read_progress([0]))
    with pytest.raises(ForeignDatabase, match="tally deployment adopt"):
        asyncio.run(writer.read_progress([0]))
    assert asked.reads == 0


def test_brokers_that_are_away_later_keep_nothing_from_a_database_that_is_known() -> None:
    asked = Asked(None, KafkaConnectionError())
    writer = own(asked)
    asyncio.run(writer.read_progress([0]))
    asked.now_s = AGAIN_SECONDS
    asyncio.run(writer.read_progress([0]))
    assert asked.reads == 2
