"""The rows of the counters table and the progress of a partition, as changelogs keep them."""

import msgspec
from msgspec import Struct, field

LABELS = 8
"""How many template ids a row remembers: the smallest ones, so that any order gives the same."""


class RowHead(Struct, array_like=True, frozen=True, gc=False):
    """What a row's changelog value begins with."""

    next_offset: int
    """Progress of the partition when the row last changed: the next facts offset."""
    first_ms: int
    last_ms: int


class Row(RowHead, array_like=True, frozen=True, gc=False):
    """The counters of one thing of a grain in one partition.

    `counts` has no zeros and is sorted by key. `first_ms` and `last_ms` are the first and the last time of
    what is counted, as wide as it ever was since a recount; `labels` and `channels` only widen. The view
    hands rows to all who ask: none changes them.
    """

    labels: list[str]
    counts: dict[str, int]
    channels: list[str] = field(default_factory=list)
    """What its attempts went over; describes the row, and only widens."""


class RowOutline(RowHead, array_like=True, frozen=True, gc=False):
    """A row's head, and whether it counts anything; its counts are passed over."""

    labels: msgspec.Raw
    counts: msgspec.Raw

    @property
    def is_filled(self) -> bool:
        """Whether anything is counted."""
        return self.counts != _NO_COUNTS


class Failure(Struct, frozen=True, array_like=True):
    """A fact that made family code raise: where it is and how often it has been tried."""

    offset: int
    times: int
    error: str


class LogMark(Struct, frozen=True, array_like=True):
    """What a transaction knew of one log, so that a later reader can tell whether it is still that one."""

    topic_id: bytes
    """16 bytes; a name can be taken again, an id cannot."""
    partitions: int
    start: int
    """Where this partition of it began."""
    end: int
    """How far it reaches at least: behind the records of the transaction, without its marker."""


class Progress(Struct, frozen=True, array_like=True):
    """What a partition's last transaction leaves behind in both changelogs: the same bytes."""

    next_offset: int
    store_id: str
    """Drawn in the partition's first transaction; tells these changelogs from any others."""
    rules: str
    """Fingerprint of the rules that the rows were counted by."""
    raw_at_ms: int = 0
    """Kafka's time of the oldest raw event in the batch; 0 where there was none."""
    quarantined: int = 0
    """Facts that were quarantined (dead letter `code_failure`): their subjects are incomplete."""
    waiting: int = 0
    """Messages of which a status was seen, but no send result yet."""
    failure: Failure | None = None
    logs: dict[str, LogMark] = field(default_factory=dict)
    """By changelog, and `facts`: the logs that this transaction was written to and counted from."""
    states: dict[str, int] = field(default_factory=dict)
    """By table of a family: how many states there are."""
    contested: int = 0
    """Messages that several tenants claim."""
    seq: int = 0
    """The number of this transaction, one more for each of the partition; 0 before the first.

    `next_offset` does not tell them apart: a recount commits without moving it.
    """


UNFINISHED = "unfinished"
"""Stands for the rules while a recount corrects rows in several transactions."""

PROGRESS_KEY = b"\x00progress"
"""Key of the progress record in both changelogs; no key of a row or of a table begins with NUL."""

_row_decoder = msgspec.msgpack.Decoder(Row)
_outline_decoder = msgspec.msgpack.Decoder(RowOutline)
_head_decoder = msgspec.msgpack.Decoder(RowHead)
_progress_decoder = msgspec.msgpack.Decoder(Progress)
encode = msgspec.msgpack.Encoder().encode
_NO_COUNTS = msgspec.Raw(encode({}))


def decode_row(value: bytes) -> Row:
    """Decode a row's changelog value."""
    return _row_decoder.decode(value)


def decode_head(value: bytes) -> RowHead:
    """Decode the beginning of a row's changelog value, and pass over its counts."""
    return _head_decoder.decode(value)


def decode_outline(value: bytes) -> RowOutline:
    """Decode the beginning of a row's changelog value, and see whether there are counts."""
    return _outline_decoder.decode(value)


def decode_progress(value: bytes) -> Progress:
    """Decode a progress record's value."""
    return _progress_decoder.decode(value)
