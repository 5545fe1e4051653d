"""The published examples of every raw topic count in plain SQL as they are folded.

The simulator makes records of the topics that it knows. Of a new one only its examples compare fold and SQL.
"""

from pathlib import Path

import pytest

import tally.schemas
from tally.oracle.comparison import differences
from tally.schemas.sources import READERS, key_of
from tally.simulator.records import RawRecord
from tests.integration.test_fold_against_recount import answers, folded, recounted

EXAMPLES = Path(tally.schemas.__file__).parent / "examples"


@pytest.mark.asyncio
async def test_the_examples_of_every_topic_count_in_plain_sql_as_they_are_folded(
    recount_database: str,
) -> None:
    records = [
        RawRecord(topic, key_of(topic, path.read_bytes()), path.read_bytes())
        for topic in READERS
        for path in sorted((EXAMPLES / topic).glob("*.json"))
    ]
    expected = await recounted(recount_database, records)

    assert differences(expected, answers(folded(records))) == []
