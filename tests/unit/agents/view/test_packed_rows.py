"""Packed rows are smaller than records, and unpack unchanged."""

from hypothesis import given
from hypothesis import strategies as st

from tally.agents.view.packed_rows import NAMES, packed, unpacked
from tally.schemas.rows import Row, decode_head, decode_outline, encode
from tests.support.view_rows import ROWS

NAMED = (
    st.sampled_from(NAMES)
    | st.text(max_size=8)
    | st.sampled_from(["errors.meta:1", "queues.sales/joins", "7"])
)
COUNTS = st.dictionaries(NAMED, st.integers(-(10**12), 10**15), max_size=12)


@given(ROWS, COUNTS)
def test_a_row_comes_out_as_it_was_in_the_order_that_it_had(row: Row, counts: dict[str, int]) -> None:
    whole = Row(
        row.next_offset, row.first_ms, row.last_ms, row.labels, dict(sorted(counts.items())), row.channels
    )
    kept = packed(encode(whole))
    assert unpacked(kept) == whole
    assert list(unpacked(kept).counts) == sorted(counts)
    assert decode_head(kept) == decode_head(encode(whole))
    assert decode_outline(kept).is_filled is bool(counts)


def test_a_busy_row_takes_a_third_of_its_bytes() -> None:
    counts = dict.fromkeys(NAMES[:20], 50) | dict.fromkeys(NAMES[60:90], 3)
    value = encode(Row(10**6, 1_795_000_000_000, 1_795_000_001_000, ["77"], counts, ["whatsapp"]))
    assert len(packed(value)) * 3 < len(value)
