"""What can be wrong with a partition's tables. Each ends the process; the message says what to do."""


class StoreError(Exception):
    """A partition's tables cannot be used."""


class StoreBroken(StoreError):
    """A transaction failed or timed out: only the next opening can know whether it happened."""


class ProgressOutsideLog(StoreError):
    """Progress lies before the start or beyond the end of the facts log.

    Facts that were not counted are gone, or the log is not the one that was counted. It is never jumped
    over silently: restore the log, or raise the generation and replay.
    """

    def __init__(self, topic: str, partition: int, next_offset: int, start: int, end: int) -> None:
        super().__init__(
            f"progress {next_offset} of {topic}[{partition}] lies outside its log [{start}, {end}]:"
            " restore the log, or raise the generation and replay the raw topics"
        )


class GapInLog(StoreError):
    """The facts log was delivered from beyond progress, twice: facts would be skipped."""

    def __init__(self, topic: str, partition: int, next_offset: int, offset: int) -> None:
        super().__init__(f"{topic}[{partition}] continues at {offset}, but progress is {next_offset}")
