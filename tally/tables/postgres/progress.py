"""Flush progress: how far the rows of a partition have come. Pure."""

from msgspec import Struct


class FlushProgress(Struct, frozen=True):
    """How far a partition has been flushed, and by whom."""

    next_offset: int
    """Every fact below it is in Postgres."""
    store_id: str
    """The changelog that the rows come from."""
    columns: str
    """Fingerprint of the counters that the writer knew."""
    flushes: int
    """Grows with every flush, so that no two writers take the same progress for their own."""


class ProgressMoved(Exception):
    """Flush progress is no longer what this writer last saw; nothing was written."""
