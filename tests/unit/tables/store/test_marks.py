"""What the changelogs end with must be one transaction, and nothing that the local copy has already left."""

from typing import Any

import pytest
from msgspec import structs

from tally.schemas.rows import LogMark, Progress
from tally.schemas.topics import COUNTERS, STATES
from tally.tables.store.errors import LogReplaced, LogsDisagree, LogShrank, ProgressLost
from tally.tables.store.marks import agreed, check_witness, moved

NAMED = {STATES: "g1-states[0]", COUNTERS: "g1-counters[0]"}
NEWEST = Progress(5, "store", "rules", seq=7)


def test_both_changelogs_end_with_the_same_progress_or_with_none() -> None:
    assert agreed({}, NAMED) is None
    assert agreed({STATES: NEWEST, COUNTERS: NEWEST}, NAMED) == NEWEST


def test_a_changelog_without_progress_is_named_beside_the_one_that_has_it() -> None:
    with pytest.raises(ProgressLost, match=r"g1-counters.* no progress, but g1-states.* up to transaction 7"):
        agreed({STATES: NEWEST}, NAMED)
    with pytest.raises(ProgressLost, match=r"g1-states.* no progress, but g1-counters.* up to transaction 7"):
        agreed({COUNTERS: NEWEST}, NAMED)


@pytest.mark.parametrize("other", [{"seq": 6}, {"seq": 8}, {"store_id": "another"}, {"next_offset": 6}])
def test_changelogs_that_end_differently_are_named_with_their_transactions(other: dict[str, Any]) -> None:
    with pytest.raises(
        LogsDisagree, match=r"g1-states.* ends with transaction 7 of store store, g1-counters"
    ):
        agreed({STATES: NEWEST, COUNTERS: structs.replace(NEWEST, **other)}, NAMED)


def test_the_local_copy_is_a_witness_of_what_both_changelogs_have_lost() -> None:
    check_witness("log", None, None)
    check_witness("log", NEWEST, None)
    check_witness("log", NEWEST, NEWEST)
    check_witness("log", NEWEST, structs.replace(NEWEST, seq=3))
    with pytest.raises(ProgressLost, match="the local copy does, up to transaction 7"):
        check_witness("log", None, NEWEST)
    with pytest.raises(LogReplaced):
        check_witness("log", NEWEST, structs.replace(NEWEST, store_id="another"))
    with pytest.raises(LogShrank, match="ends with transaction 7, and the local copy holds 8"):
        check_witness("log", NEWEST, structs.replace(NEWEST, seq=8))


def test_no_end_moves_back() -> None:
    marks = {"facts": LogMark(b"f", 1, 0, 4), STATES: LogMark(b"s", 1, 0, 4)}

    assert moved(marks, {STATES: 6}) == {**marks, STATES: LogMark(b"s", 1, 0, 6)}
    assert moved(marks, {STATES: 3}) == marks
