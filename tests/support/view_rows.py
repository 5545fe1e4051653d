"""Rows as a fold writes them to the counters changelog, and strategies that draw them."""

from hypothesis import strategies as st

from tally.agents.view.model import View
from tally.schemas.counters import COUNTERS
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import PROGRESS_KEY, Progress, Row, encode

PROMO = Template("promo_nov", "pt_BR")
NEWS = Template("news", "en_US")

ENTRIES = {"map": ("meta:131026", "meta:132000", "other"), "seconds": ("1", "35", "50", "negative")}
FLAT = tuple(
    flat
    for counter in COUNTERS
    if counter.family != "operator"
    for flat in (
        [f"{counter.name}.{entry}" for entry in ENTRIES[counter.kind]]
        if counter.kind != "count"
        else [counter.name]
    )
)

COUNTS = st.dictionaries(st.sampled_from(FLAT), st.integers(1, 10**6), max_size=8)
TEMPLATES = st.sampled_from([None, PROMO, NEWS, Template()])
ROW_KEYS = st.builds(RowKey, st.sampled_from(["t1", "t/2"]), st.sampled_from(["c1", "c%/3"]), TEMPLATES)
ROWS = st.builds(
    Row,
    st.integers(0, 9),
    st.integers(1_795_000_000_000, 1_795_000_000_009),
    st.integers(1_795_000_001_000, 1_795_000_001_009),
    st.lists(st.sampled_from(["id-1", "id-2", "id-3"]), unique=True, max_size=2).map(sorted),
    COUNTS,
    st.lists(st.sampled_from(["voice", "whatsapp"]), unique=True).map(sorted),
)


def put(
    view: View,
    key: RowKey,
    counts: dict[str, int],
    partition: int = 0,
    next_offset: int = 1,
    span: tuple[int, int] = (1_795_000_000_000, 1_795_000_001_000),
    labels: tuple[str, ...] = (),
    channels: tuple[str, ...] = (),
) -> None:
    """Apply one row to a view."""
    row = Row(next_offset, *span, list(labels), counts, list(channels))
    view.apply(partition, key.encode(), encode(row))


def put_operator(
    view: View,
    tenant: str,
    interface: str,
    counts: dict[str, int],
    partition: int = 0,
    next_offset: int = 1,
    pbx: str = "pbx01",
) -> None:
    """Apply one row of an operator to a view."""
    put(view, RowKey(tenant, "", Template(pbx, interface)), counts, partition, next_offset)


def progress(
    next_offset: int,
    store_id: str = "s1",
    raw_at_ms: int = 0,
    quarantined: int = 0,
    seq: int = 0,
    waiting: int = 0,
) -> bytes:
    """Return a progress record's value."""
    return encode(
        Progress(
            next_offset,
            store_id,
            "rules",
            raw_at_ms=raw_at_ms,
            quarantined=quarantined,
            seq=seq,
            waiting=waiting,
        )
    )


def put_progress(
    view: View, partition: int, next_offset: int, quarantined: int = 0, seq: int = 0, waiting: int = 0
) -> None:
    """Apply a partition's progress to a view."""
    value = progress(next_offset, quarantined=quarantined, seq=seq, waiting=waiting)
    view.apply(partition, PROGRESS_KEY, value)
