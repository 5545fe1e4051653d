"""A worker listens where it is told."""

import socket

import pytest

from tally.streams.processes.front import NotServed, listeners


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
