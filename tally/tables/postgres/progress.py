"""Flush progress: how many of a partition's facts Postgres reflects. Pure."""

from msgspec import Struct


class FlushProgress(Struct, frozen=True):
    """How far a partition has been flushed, and by which writer."""

    next_offset: int
    """Every fact before this offset is in Postgres."""
    store_id: str
    """The changelog that the rows come from."""
    columns: str
    """Fingerprint of the counters that the writer knew."""
    flushes: int
    """Grows with every flush, so two writers never mistake each other's progress for their own."""


class ProgressMoved(Exception):
    """Flush progress has changed since this writer last saw it; nothing was written."""
