"""`tally up` runs until it is stopped or a server ends; then it says which server, and why."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from tally.deploy.local import LocalServer
from tally.streams.cli.up import until_stopped
from tally.streams.dev.stack import Stack
from tally.streams.settings import load


class Server:
    """An embedded server that has ended, or has not."""

    name = "kafka"

    def __init__(self, folder: Path, log: str, *, alive: bool) -> None:
        self.alive = alive
        self.log_path = folder / "server.log"
        self.log_path.write_text(log)


def stack_of(server: Server) -> Stack:
    return Stack(load({}), {}, (cast("LocalServer", server),))


def test_of_a_server_that_has_ended_the_last_line_of_its_log_is_said(tmp_path: Path) -> None:
    log = "x" * 10_000 + "\nERROR while writing: No space left on device\n\n"

    (said,) = stack_of(Server(tmp_path, log, alive=False)).ended()

    assert said.startswith("kafka has ended by itself")
    assert said.endswith("ends with: ERROR while writing: No space left on device")
    assert str(tmp_path / "server.log") in said


def test_an_empty_log_says_nothing(tmp_path: Path) -> None:
    assert stack_of(Server(tmp_path, "", alive=False)).ended()[0].endswith("ends with: nothing")


def test_of_a_server_that_runs_nothing_is_said(tmp_path: Path) -> None:
    assert stack_of(Server(tmp_path, "ERROR", alive=True)).ended() == []


@pytest.mark.asyncio
async def test_it_stops_when_it_is_told_to() -> None:
    stopping = asyncio.Event()
    stopping.set()

    assert await asyncio.wait_for(until_stopped(stopping, list), 5) == []


@pytest.mark.asyncio
async def test_it_stops_when_a_server_ends() -> None:
    looks = iter([[], ["kafka has ended"]])

    assert await asyncio.wait_for(until_stopped(asyncio.Event(), lambda: next(looks)), 10) == [
        "kafka has ended"
    ]
