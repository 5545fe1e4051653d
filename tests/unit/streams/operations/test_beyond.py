"""A diagnosis counts what lies beyond each bound, or the code says why it cannot be known."""

from hashlib import sha256

import pytest

from tally.schemas import bounds
from tally.schemas.bounds import BOUNDS
from tally.schemas.errors import Bad
from tally.schemas.missing import Entry, Known
from tally.schemas.records import Routed
from tally.streams.operations.beyond import KNOWN, NOT_KNOWN, line_of, of_lines
from tally.streams.operations.dead_letters import StoredDeadLetter, beyond
from tally.streams.operations.incomplete import Line
from tally.tables.kafka.dead_letters import detail_of

CUT = sha256(b"").hexdigest()


def test_every_bound_is_told_of_or_there_is_a_reason_why_not() -> None:
    names = {bound.name for bound in BOUNDS}
    assert KNOWN.keys() | NOT_KNOWN.keys() == names
    assert not KNOWN.keys() & NOT_KNOWN.keys()


def letter(
    reason: str, detail: str = "", value: bytes = b"", size_bytes: int = 0, sha: str = "", key: bytes = b""
) -> StoredDeadLetter:
    return StoredDeadLetter(
        "raw/0/1", reason, detail or f"{reason} at $", 1, key, value, size_bytes or len(value), sha
    )


def bad_parts(count: int) -> str:
    routed = Routed()
    for index in range(count):
        routed.refuse(Bad("bad_id", "", "text"), "$.list", index)
    return detail_of(routed)


LINES = bounds.PACKET_LINES.most
BEYOND = [
    (letter("too_large", size_bytes=bounds.RECORD.most + 1, sha=CUT), ["record", "letter_end"]),
    (letter("too_large", "too_large at $.reason", size_bytes=bounds.RECORD.most), []),
    (letter("too_large", "too_large at a batch, offsets 1 to 9", size_bytes=9), ["batch"]),
    (letter("too_many_parts"), ["elements"]),
    (letter("bad_packet", value=b"a: b\n" * LINES), []),
    (letter("bad_packet", value=b"a: b\n" * (LINES + 1)), ["packet_lines"]),
    (letter("bad_id", bad_parts(bounds.BAD_PARTS.most)), []),
    (letter("bad_id", bad_parts(bounds.BAD_PARTS.most + 1)), ["bad_parts"]),
    (letter("not_json", key=b"k" * (bounds.LETTER_KEY.most - 1)), []),
    (letter("not_json", key=b"k" * bounds.LETTER_KEY.most), ["letter_key"]),
]


@pytest.mark.parametrize(("found", "expected"), BEYOND)
def test_a_dead_letter_says_which_bounds_its_record_was_beyond(
    found: StoredDeadLetter, expected: list[str]
) -> None:
    assert [bound.name for bound in beyond(found)] == expected


def test_subjects_beyond_a_bound_are_told_of_in_all_partitions_acknowledged_or_not() -> None:
    def line(kind: str, campaign: str, *counts: int) -> Line:
        scope = ("t1", campaign)
        known = Known(count=1, note="known")
        return Line(kind, scope, {at: Entry(kind, scope, n, 1, known) for at, n in enumerate(counts)})

    found = of_lines([line("attempts", "c1", 2, 3), line("attempts", "c2", 1), line("too_large", "c1", 7)])
    assert line_of(found) == "attempts: 6 subjects"
    assert (
        line_of({"templates_shown": 2, "record": 1, "call": 0})
        == "record: 1 raw records, templates_shown: 2 campaigns"
    )
    assert line_of({}) == "nothing"
