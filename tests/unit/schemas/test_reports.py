"""Laws of reports: what is written is read again, anything else is refused, and none of them is large."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.audit.drift import SOURCES
from tally.schemas.errors import REASONS
from tally.schemas.reports import (
    AuditReport,
    BadReport,
    GatewayReport,
    Letters,
    Report,
    Reporter,
    decode,
    encode,
)
from tally.streams.gateway.observer import OUTCOMES, POSTED

NUMBERS = st.integers(0, 1 << 53)
MOMENTS = st.one_of(st.none(), NUMBERS)
AUDITS = st.builds(
    AuditReport,
    every_seconds=st.floats(1, 1e6),
    audited_at_ms=MOMENTS,
    rows=NUMBERS,
    drift=st.dictionaries(st.sampled_from(SOURCES), NUMBERS),
    raw=st.text(max_size=80),
    dead_letters=st.dictionaries(st.sampled_from(sorted(REASONS)), st.builds(Letters, NUMBERS, NUMBERS)),
)
GATEWAYS = st.builds(
    GatewayReport,
    since_ms=NUMBERS,
    is_up=st.booleans(),
    answers=st.dictionaries(st.sampled_from(OUTCOMES), NUMBERS),
    items=st.dictionaries(st.sampled_from(POSTED), NUMBERS),
    accepted_at_ms=MOMENTS,
)


@given(st.one_of(AUDITS, GATEWAYS), st.text(), st.text())
def test_what_is_written_is_read_again(report: Report, kind: str, name: str) -> None:
    reporter = Reporter(kind, name)
    assert decode(reporter.encode(), encode(report)) == (reporter, report)
    assert decode(reporter.encode(), None) == (reporter, None)
    assert len(encode(report)) < 16_384


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"audit", b"{}"),
        (b"audit/a/b", b"{}"),
        (b"\xff/a", b"{}"),
        (b"audit/a", b""),
        (b"audit/a", b"not json"),
        (b"audit/a", b'{"kind":"worker"}'),
        (b"audit/a", b'{"kind":"audit","every_seconds":"a"}'),
        (b"gateway/a", b'{"kind":"gateway"}'),
    ],
)
def test_anything_else_is_refused(key: bytes | None, value: bytes) -> None:
    with pytest.raises(BadReport):
        decode(key, value)
