"""Failures of our own family code on a fact (E10)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

from tally.schemas.rows import Failure
from tally.tables.store.errors import StoreError

TRIES = 3
MAX_ERROR = 200


class FamilyFailure(Exception):
    """Family code raised, or made a state that no record can hold (`too_large`): retrying that is useless."""

    def __init__(self, what: str, too_large: bool = False) -> None:
        super().__init__(what)
        self.too_large = too_large


class StateTooLarge(Exception):
    """A state or row is larger than a changelog record may be."""


@contextmanager
def family_code() -> Iterator[None]:
    """Turn exceptions raised inside into FamilyFailure, except MemoryError and StoreError."""
    try:
        yield
    except (MemoryError, StoreError):
        raise
    except Exception as error:
        # The text of an exception may quote an id, which is personal data: keep its type and line only.
        raise FamilyFailure(_described(error), isinstance(error, StateTooLarge)) from None


def _described(error: Exception) -> str:
    """Return an exception's type and the line that raised it. Pure."""
    *_, (frame, line) = walk_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(frame.f_code.co_filename).name}:{line}"


def next_failure(known: Failure | None, offset: int, error: str) -> Failure:
    """Return the durable record of one more failure of the fact at this offset."""
    times = known.times if known is not None and known.offset == offset else 0
    return Failure(offset, times + 1, error[:MAX_ERROR])


def is_beyond_retry(failure: Failure) -> bool:
    """Return whether the fact has failed often enough to be quarantined."""
    return failure.times >= TRIES
