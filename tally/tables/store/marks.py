"""Checks of each log against its mark in progress: do the brokers still have that much of it? Pure."""

from collections.abc import Mapping

from msgspec import structs

from tally.schemas.rows import LogMark, Progress
from tally.schemas.topics import CHANGELOGS, COUNTERS, STATES, Changelog, Names
from tally.tables.kafka.layouts import Layout
from tally.tables.store.errors import LogReplaced, LogsDisagree, LogShrank, PartitionsChanged, ProgressLost

FACTS = "facts"
"""The key of the facts log among the marks; a changelog has its own name. Retention moves its start."""


def log_topics(names: Names) -> dict[str, str]:
    """Return the topics of the logs, keyed by the names that progress has for them."""
    return {FACTS: names.facts, **{log: names.changelog(log) for log in CHANGELOGS}}


def check(known: Mapping[str, LogMark], found: Mapping[str, LogMark], named: Mapping[str, str]) -> None:
    """Compare the logs that progress knows with those of the brokers; `named` names them in errors.

    A log that progress does not know is new, and passes. Raises LogReplaced, PartitionsChanged, LogShrank.
    """
    for log, there in found.items():
        if (mark := known.get(log)) is None:
            continue
        check_identity(named[log], mark, Layout(there.topic_id, there.partitions, 0))
        check_start(named[log], mark, there.start)
        if there.end < mark.end:
            raise LogShrank(named[log], f"it ends at offset {there.end}, and {mark.end} was committed")


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


def agreed(newest: Mapping[Changelog, Progress], named: Mapping[str, str]) -> Progress | None:
    """Return the newest progress, which must be the same in both changelogs; None if neither holds any.

    A transaction writes to both or to neither, so where they differ one of them has lost records or was
    written by another. Raises ProgressLost, LogsDisagree.
    """
    if not newest:
        return None
    if lost := [log for log in CHANGELOGS if log not in newest]:
        ((other, held),) = newest.items()
        raise ProgressLost(named[lost[0]], f"{named[other]} does, up to transaction {held.seq}")
    if newest[STATES] != newest[COUNTERS]:
        raise LogsDisagree(named[STATES], newest[STATES], named[COUNTERS], newest[COUNTERS])
    return newest[COUNTERS]


def check_witness(name: str, newest: Progress | None, witness: Progress | None) -> None:
    """Compare the newest progress of the changelogs with that of a local copy.

    Raises ProgressLost, LogReplaced, LogShrank.
    """
    if witness is None:
        return
    if newest is None:
        raise ProgressLost(name, f"the local copy does, up to transaction {witness.seq}")
    if newest.store_id != witness.store_id:
        raise LogReplaced(name, f"store {witness.store_id} by the local copy", newest.store_id)
    if newest.seq < witness.seq:
        raise LogShrank(
            name, f"it ends with transaction {newest.seq}, and the local copy holds {witness.seq}"
        )


def moved(marks: Mapping[str, LogMark], ends: Mapping[Changelog, int]) -> dict[str, LogMark]:
    """Return the marks with later ends of changelogs; no end moves back."""
    later = dict(marks)
    for log, end in ends.items():
        later[log] = structs.replace(marks[log], end=max(marks[log].end, end))
    return later
