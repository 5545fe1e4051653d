"""The figures of the live side: each alone, and none for ever."""

import asyncio

import pytest
from msgspec import structs

from bench import live
from bench.live_streams import Cost, Streams


def test_a_figure_that_hangs_ends_and_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def hanging(_: live.Asked) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(live, "FIGURES", {"first": live.Figure(hanging, 0.01)})
    monkeypatch.setattr("sys.argv", ["live", "--only", "first"])

    assert live.main() == 1
    assert capsys.readouterr().out.startswith("DOES NOT HOLD: first")


def test_streams_that_stood_still_cost_nothing_and_are_no_figure() -> None:
    asked = Streams()
    cost = Cost(cores=0.1, megabytes=10.0, frames_per_second=1.0, longest_pause_s=1.1)

    assert live.is_within(cost, asked)
    assert not live.is_within(structs.replace(cost, frames_per_second=0.5), asked)
    assert not live.is_within(structs.replace(cost, cores=0.31), asked)
    assert not live.is_within(structs.replace(cost, megabytes=60.5), asked)
