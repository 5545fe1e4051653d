"""Lists of raw topics are equal, wherever one stands that derives from nothing."""

from pathlib import Path

import tally.schemas
from tally.oracle import recount
from tally.schemas.sources import RAW_TOPICS, SOURCES
from tally.schemas.topics import DEAD_LETTERS
from tally.simulator import records
from tally.streams.operations.topics import wanted
from tally.streams.settings import load

EXAMPLES = Path(tally.schemas.__file__).parent / "examples"


def test_the_lists_of_raw_topics_are_equal() -> None:
    simulated = {records.WEBHOOK_EVENTS, records.SEND_RESULTS, records.AMI_EVENTS}

    assert set(recount.RAW) == set(RAW_TOPICS)
    assert simulated == set(RAW_TOPICS)
    assert {folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()} == {*RAW_TOPICS, DEAD_LETTERS}
    assert set(RAW_TOPICS) <= {topic.name for topic in wanted(load({}))}


def test_a_kind_of_names_has_one_list_for_each_source_that_counts_it() -> None:
    """Else `Routed.seen` of one source could say what only another one lists."""
    assert all(names for source in SOURCES for names in source.names.values())
