"""The facts and dead letters that route makes of one raw record, whatever its Kafka metadata."""

from pathlib import Path

import pytest

import tally.schemas
from tally.agents.route.decision import LAST_MS, read_record, route_records
from tally.schemas.bounds import LETTER_END
from tally.schemas.errors import Bad
from tally.schemas.places import place_number
from tally.schemas.records import Origin
from tally.tables.kafka.facts_log import by_partition
from tally.tables.kafka.unread import unread

GOOD = (Path(tally.schemas.__file__).parent / "examples" / "send-results" / "accepted.json").read_bytes()


class Raw:
    key = None
    headers = ()
    offset = 7
    value = GOOD

    def __init__(self, timestamp: int) -> None:
        self.timestamp = timestamp


@pytest.mark.parametrize(
    ("timestamp", "kept"),
    [
        (-(1 << 62), 0),
        (-1, 0),
        (0, 0),
        (1_795_400_000_000, 1_795_400_000_000),
        (LAST_MS - 1, LAST_MS - 1),
        (LAST_MS, LAST_MS),
        (LAST_MS + 1, LAST_MS),
        ((1 << 63) - 1, LAST_MS),
    ],
)
def test_a_time_that_no_fact_has_room_for_is_brought_within_it(timestamp: int, kept: int) -> None:
    run = route_records("send-results", [Raw(timestamp)], partitions=[3])

    assert [origin for _, origin in run.facts] == [(kept, place_number("send-results", 3, 7))]
    facts = [(keyed, origin) for keyed_facts, origin in run.facts for keyed in keyed_facts]
    assert sum(map(len, by_partition(facts, 4).values())) == len(facts) > 0


def test_a_batch_that_was_not_taken_apart_is_bad_and_not_read() -> None:
    bad = Bad("too_large", "a batch, offsets 5 to 9", "less")
    stand_in = unread(memoryview(GOOD), 5, -1, bad)

    routed, origin = read_record("send-results", stand_in, 3)
    run = route_records("send-results", [stand_in, Raw(1_795_400_000_000)])

    assert (routed.facts, routed.bad, origin) == ([], [bad], Origin(0))
    assert run.outcomes == {"bad": 1, "good": 1}
    assert [record for record, _ in run.bad] == [stand_in]
    assert len(GOOD) < LETTER_END.most
    assert stand_in.value == GOOD
