"""A connection goes to whom it asks, whatever it says and however slowly."""

import socket

import pytest

from tally.streams.processes.front import NotServed, is_parents, listeners


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


def test_a_host_is_listened_to_on_each_of_its_addresses() -> None:
    listening = listeners("localhost", 0)
    hosts = {one.getsockname()[0] for one in listening}
    for one in listening:
        one.close()

    assert "127.0.0.1" in hosts
    assert hosts <= {"127.0.0.1", "::1"}


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(NotServed, match="in use"):
        listeners("127.0.0.1", taken.getsockname()[1])
