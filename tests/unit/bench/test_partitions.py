"""The table of partitions: what is still to be measured, and how rounds become a cell."""

from pathlib import Path

from msgspec import json, structs

from bench.partitions import Arrangement, missing, read
from bench.partitions_table import Cell, told, written

CELL = Cell(0, 2, 1, 3_300, 3_300.0, 20.0, 60.0, 0.7, 200)


def test_rounds_go_over_all_arrangements_before_the_next_one_begins() -> None:
    found = list(missing([], 2, (2, 4), (1, 2), (3_300,)))

    assert [(one.round, one.partitions, one.processes) for one in found] == [
        (nth, partitions, processes) for nth in (0, 1) for partitions in (2, 4) for processes in (1, 2)
    ]


def test_what_is_known_is_not_measured_again() -> None:
    assert list(missing([CELL], 1, (2,), (1,), (3_300,))) == []
    assert list(missing([CELL], 1, (2,), (1,), (3_300, 10_000))) == [Arrangement(0, 2, 1, (10_000,))]
    assert list(missing([CELL], 2, (2,), (1,), (3_300,))) == [Arrangement(1, 2, 1, (3_300,))]


def test_cells_are_read_as_they_were_written(tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert read(results) == []

    results.write_bytes(json.encode(CELL) + b"\n" + json.encode(CELL) + b"\n")
    assert read(results) == [CELL, CELL]


def test_a_cell_is_the_median_of_its_rounds_with_the_range() -> None:
    medians = (30.0, 20.0, 90.0)
    rounds = [structs.replace(CELL, round=nth, p50_ms=p50_ms) for nth, p50_ms in enumerate(medians)]

    assert written(rounds).splitlines()[-1] == (
        "| 2 | one process | p50 30 (20 to 90) ms, p99 60 (60 to 60) ms, 0.70 cores |"
    )


def test_a_cell_that_was_not_measured_is_empty_and_a_load_that_was_not_carried_is_said() -> None:
    less = structs.replace(CELL, partitions=8, processes=2, per_second=13_500, carried_per_second=12_000.0)
    table = written([CELL, less]).splitlines()

    assert table[0] == "| partitions | a worker's | 3,300 events/s | 13,500 events/s |"
    assert table[2].endswith("cores |  |")
    assert table[3].endswith("0.70 cores, 12,000 events/s carried |")


def test_a_cell_is_told_in_one_line() -> None:
    assert told(CELL) == (
        "round 1, 2 partitions, one process, 3,300 events/s (3,300 carried):"
        " p50 20 ms, p99 60 ms, 0.70 cores, 200 probes"
    )


def test_without_a_measurement_there_is_no_table() -> None:
    assert written([]) == "Nothing is measured yet.\n"
