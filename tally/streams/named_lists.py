"""Settings that are a JSON list of objects with names."""

from collections.abc import Callable, Sequence
from typing import Annotated, Protocol, TypeVar

import orjson
from pydantic import BeforeValidator

from tally.schemas.errors import BadEvent
from tally.schemas.fields import producer_id


class Named(Protocol):
    """An object of such a list."""

    @property
    def name(self) -> str:
        """The name, of which there may be one in a list."""


Many = TypeVar("Many", bound=Sequence[Named])


def from_json(value: object) -> object:
    """Return what a text of JSON holds; the empty text holds nothing. Raises ValueError."""
    if not isinstance(value, str):
        return value
    try:
        # Not Python's own: it takes halves of characters, which no header, signature or topic could hold.
        return orjson.loads(value) if value.strip() else ()
    except ValueError:
        # Neither chained nor with the parser's message: both may show a part of a secret.
        raise ValueError("is no JSON in UTF-8") from None


def distinct(what: str) -> Callable[[Many], Many]:
    """Return a check that no two of these have the same name; `what` is their plural."""

    def check(found: Many) -> Many:
        if len({one.name for one in found}) < len(found):
            raise ValueError(f"two {what} have the same name")
        return found

    return check


def _tenant(value: object) -> object:
    try:
        return None if value is None else producer_id(value, "tenant")
    except BadEvent as error:
        raise ValueError(f"expected {error.bad.expected}") from None


Tenant = Annotated[str | None, BeforeValidator(_tenant)]
"""A tenant's id as in events and addresses; None where an object has none."""
