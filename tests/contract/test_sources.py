"""Lists of raw topics are equal, wherever one stands that derives from nothing."""

from pathlib import Path

import pytest

import tally.schemas
from tally.oracle import recount
from tally.schemas.conventions import CONVENTIONS
from tally.schemas.sources import RAW_TOPICS, SEEN, SOURCES, Source
from tally.schemas.topics import DEAD_LETTERS
from tally.schemas.whatsapp.status import OTHER_TYPES
from tally.simulator import records
from tally.streams.operations.topics import wanted
from tally.streams.settings import load

PUBLISHED_MS = 1_795_400_000_000
EXAMPLES = Path(tally.schemas.__file__).parent / "examples"


def test_the_lists_of_raw_topics_are_equal() -> None:
    simulated = {records.WEBHOOK_EVENTS, records.SEND_RESULTS, records.AMI_EVENTS}

    assert set(recount.RAW) == set(RAW_TOPICS)
    assert simulated <= set(RAW_TOPICS)
    assert {folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()} == {*RAW_TOPICS, DEAD_LETTERS}
    assert set(RAW_TOPICS) <= {topic.name for topic in wanted(load({}))}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.topic)
def test_what_a_source_counts_by_name_stands_in_its_own_lists(source: Source) -> None:
    examples = sorted((EXAMPLES / source.topic).glob("*.json"))
    reads = [source.read(path.read_bytes(), (), CONVENTIONS, PUBLISHED_MS) for path in examples]
    seen = [one for read in reads for one in read.seen]

    assert seen, "a reader notes what it saw by name: Routed.see"
    unlisted = [(kind, name) for kind, name in seen if name not in source.names.get(kind, ())]
    assert unlisted == [], "what a reader notes by name is listed in Source.names"


def test_statuses_that_are_not_of_messages_are_counted_by_name() -> None:
    """A name that is noted and not listed ends the process that reads it."""
    assert SEEN["status"] >= OTHER_TYPES
