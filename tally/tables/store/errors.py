"""Errors of a partition's tables. Each ends the process, and its message says what to do."""

from typing import Literal

from tally.schemas.rows import Progress

REPLAY = "restore it, or raise TALLY_GENERATION and replay the raw topics"

OTHER_BROKERS = (
    "; if other brokers are meant than those that the local copy is of, give it another TALLY_STATE_FOLDER"
)

Rebuilt = Literal["corrupt", "states_missing", "slept", "other_store", "out_of_range"]
"""Why a local copy was wiped and read again from its changelogs."""


class StoreError(Exception):
    """A partition's tables cannot be used."""


class StoreBroken(StoreError):
    """A transaction failed or timed out: only the next opening can tell whether it was committed."""


class CopyUnfit(StoreError):
    """The local copy is unfit for use. It is wiped and read again first, so this does not end the process."""

    def __init__(self, why: Rebuilt, what: str) -> None:
        super().__init__(f"the local copy cannot be believed ({why}): {what}")
        self.why: Rebuilt = why


class ProgressOutsideLog(StoreError):
    """Progress lies before the start or beyond the end of the facts log.

    Either facts are gone that were not counted, or this is not the log that was counted. Progress never jumps
    silently: restore the log, or raise the generation and replay.
    """

    def __init__(self, topic: str, partition: int, next_offset: int, start: int, end: int) -> None:
        super().__init__(
            f"progress {next_offset} of {topic}[{partition}] lies outside its log [{start}, {end}]:"
            " restore the log, or raise the generation and replay the raw topics"
        )


class LogReplaced(StoreError):
    """A partition's log is not the one that progress knows: it was deleted and created again."""

    def __init__(self, name: str, known: str, found: str) -> None:
        super().__init__(f"{name} was replaced: it was {known}, and is {found} now; {REPLAY}{OTHER_BROKERS}")


class LogGone(StoreError):
    """A log that facts were counted from, or written to, was deleted."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not there any more: {REPLAY}{OTHER_BROKERS}")


class LogShrank(StoreError):
    """A log holds less than was committed to it, so states or rows are gone."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name} has lost records: {what}; {REPLAY}")


class PartitionsChanged(StoreError):
    """A log's partition count has changed since it was counted: subjects belong to other partitions now."""

    def __init__(self, name: str, known: int, found: int) -> None:
        super().__init__(
            f"{name} has {found} partitions, and had {known} when it was counted: raise TALLY_GENERATION,"
            f" with TALLY_PARTITIONS={found}, and replay the raw topics"
        )


class ProgressLost(StoreError):
    """A changelog holds no progress, but there is other evidence that facts were counted."""

    def __init__(self, name: str, witness: str) -> None:
        super().__init__(f"{name} holds no progress, but {witness}: {REPLAY}{OTHER_BROKERS}")


class LogsDisagree(StoreError):
    """The two changelogs of a partition do not end with the same transaction."""

    def __init__(self, states: str, of_states: Progress, counters: str, of_counters: Progress) -> None:
        super().__init__(
            f"{states} ends with {_ended(of_states)}, {counters} with {_ended(of_counters)}: a transaction"
            f" writes to both, so one of them has lost records or was written by another program; {REPLAY}"
        )


class StatesMissing(StoreError):
    """A copy that was just read again holds fewer or more states than were committed."""

    def __init__(self, partition: int, what: str) -> None:
        super().__init__(
            f"partition {partition} does not hold the states that were committed: {what}; {REPLAY}"
        )


class ForeignRecord(StoreError):
    """One of Tally's own topics holds a record that Tally did not write; the message says where."""

    def __init__(self, topic: str, partition: int, offset: int, what: str) -> None:
        super().__init__(
            f"{topic}[{partition}] holds a record at offset {offset} that is not Tally's ({what}): let nobody"
            " else write to this topic (docs/running.md, Rights), raise TALLY_GENERATION and replay the raw"
            " topics"
        )


class GapInLog(StoreError):
    """Twice the facts log was delivered from beyond progress: facts would be skipped."""

    def __init__(self, topic: str, partition: int, next_offset: int, offset: int) -> None:
        super().__init__(f"{topic}[{partition}] continues at {offset}, but progress is {next_offset}")


def _ended(progress: Progress) -> str:
    return f"transaction {progress.seq} of store {progress.store_id}"
