"""A connection goes to whom it asks, whatever it says and however slowly."""

import pytest

from tally.streams.processes.front import is_parents


@pytest.mark.parametrize(
    ("head", "whose"),
    [
        (b"GET /metrics HTTP/1.1\r\n", True),
        (b"HEAD /metrics?x=1", True),
        (b"GET /health/live HTTP/1.1", True),
        (b"GET /v1/tenants/t1/campaigns", False),
        (b"GET / HTTP/1.1", False),
        (b"GET /healthy", False),
        (b"GET http://tally/metrics HTTP/1.1", False),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 tls", False),
        (b"A-METHOD-THAT-IS-TOO-LONG", False),
    ],
)
def test_metrics_and_health_are_the_parents_and_all_else_the_views(head: bytes, whose: bool) -> None:
    assert is_parents(head) is whose


@pytest.mark.parametrize("head", [b"G", b"GET", b"GET ", b"GET /", b"GET /met", b"GET /health"])
def test_a_beginning_that_is_too_short_decides_nothing(head: bytes) -> None:
    assert is_parents(head) is None
