"""Runs the oracle on the stack of the settings; it knows no settings, so this module passes its inputs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from tally.oracle.api import Answers
from tally.oracle.judgement import Judgement, judge
from tally.schemas.numbers import Number
from tally.streams.operations.numbers import all_numbers
from tally.streams.settings import Settings
from tally.tables.kafka.read_to_end import read_to_end


class RawTopics:
    """The raw topics of one deployment; see tally/oracle/recount.py."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def records(self, topics: Sequence[str], deadline_seconds: float) -> AsyncIterator[tuple[str, Any]]:
        """Yield every record that these topics hold now, each with its topic."""
        logical = {self._settings.names.raw(topic): topic for topic in topics}
        async for record in read_to_end(self._settings.kafka, list(logical), deadline_seconds):
            yield logical[record.topic], record

    async def numbers(self) -> Mapping[str, Number]:
        """Return what is known of each business number."""
        return await all_numbers(self._settings)


async def judged(settings: Settings, answers: Answers, by_cell: bool = False) -> Judgement:
    """Recount all events in the raw topics, by cell too if asked, and compare.

    Nothing may be published meanwhile.
    """
    return await judge(settings.postgres_dsn.get_secret_value(), RawTopics(settings), answers, by_cell)
