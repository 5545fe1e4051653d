"""Lines: what one part of one subject adds to one row, who that is, and where it came from. Pure.

A contribution says what a state adds to cells, and by them to rows; its lines say who is behind it
(docs/ledger.md). They are derived from a state when somebody writes them down, and stand in no log.
"""

from typing import NamedTuple

from msgspec import Struct

from tally.tables.contribution import Part


class Event(NamedTuple):
    """The first event of one kind that a line is about."""

    kind: str
    """What happened, as docs/places.md lists it."""
    at_ms: int
    place: int
    """The number of the raw record's place (schemas/places.py)."""


class Line(Struct, frozen=True, gc=False):
    """What one part adds to one row. What is not known, or is not of its family, is empty."""

    part: Part
    at_ms: int
    """When it was sent, which decides its cell's quarter hour; of a leg, when it was connected or rang."""
    contact: str = ""
    attempt: str = ""
    message: str = ""
    """The id of the message as it was written, which may hold the phone."""
    phone: str = ""
    """In digits."""
    leg: str = ""
    """The channel of the customer, or of the operator."""
    error: str = ""
    """The first one, raw, as `source:code`."""
    price: str = ""
    """Category and type of the last one, raw."""
    events: tuple[Event, ...] = ()
    """The first of each kind."""
