"""Checks of each log against its mark in progress: do the brokers still have that much of it? Pure."""

from collections.abc import Mapping

from tally.schemas.rows import LogMark, Progress
from tally.tables.kafka.layouts import Layout
from tally.tables.store.errors import LogReplaced, LogShrank, PartitionsChanged, ProgressLost

FACTS = "facts"
"""The key of the facts log among the marks; a changelog's key is its table. Retention moves its start."""


def check(known: Mapping[str, LogMark], found: Mapping[str, LogMark], named: Mapping[str, str]) -> None:
    """Compare the logs that progress knows with those of the brokers; `named` names them in errors.

    A log that progress does not know is new, and passes. Raises LogReplaced, PartitionsChanged, LogShrank.
    """
    for log, mark in known.items():
        there = found.get(log)
        if there is None:
            continue  # a table of another release
        _check_one(named[log], mark, there)


def check_identity(name: str, known: LogMark, layout: Layout) -> None:
    """Compare the topic that progress knows with the brokers'. Raises LogReplaced, PartitionsChanged."""
    if known.topic_id != layout.topic_id:
        raise LogReplaced(name, f"topic id {known.topic_id.hex()}", layout.topic_id.hex())
    if known.partitions != layout.partitions:
        raise PartitionsChanged(name, known.partitions, layout.partitions)


def check_start(name: str, known: LogMark, start: int) -> None:
    """Compare the start of a log without retention with the start that progress knows. Raises LogShrank."""
    if start > known.start:
        raise LogShrank(name, f"it begins at offset {start}, and began at {known.start}")


def _check_one(name: str, known: LogMark, found: LogMark) -> None:
    check_identity(name, known, Layout(found.topic_id, found.partitions, 0))
    check_start(name, known, found.start)
    if found.end < known.end:
        raise LogShrank(name, f"it ends at offset {found.end}, and {known.end} was committed")


def check_witness(name: str, newest: Progress | None, witness: Progress | None, records: int) -> None:
    """Compare the newest progress of the counters changelog with other evidence that facts were counted.

    Evidence is the progress in a local copy, or any committed record of a changelog, since the first
    transaction of a partition already writes progress. Raises ProgressLost, LogReplaced.
    """
    if newest is None and witness is not None:
        raise ProgressLost(name, f"the local copy does, up to fact {witness.next_offset}")
    if newest is None and records:
        raise ProgressLost(name, f"the changelogs of this partition hold {records} records")
    if newest is not None and witness is not None and newest.store_id != witness.store_id:
        raise LogReplaced(name, f"store {witness.store_id} by the local copy", newest.store_id)


def moved(marks: Mapping[str, LogMark], ends: Mapping[str, int]) -> dict[str, LogMark]:
    """Return the marks with later ends, by log; no end moves back."""
    return {
        log: LogMark(mark.topic_id, mark.partitions, mark.start, max(mark.end, ends.get(log, 0)))
        if log in ends
        else mark
        for log, mark in marks.items()
    }
