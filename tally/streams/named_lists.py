"""Settings that are a JSON list of objects with names."""

import json
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar


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
        return json.loads(value) if value.strip() else ()
    except ValueError:
        # Neither chained nor with the parser's message: both may show a part of a secret.
        raise ValueError("is no JSON") from None


def distinct(what: str) -> Callable[[Many], Many]:
    """Return a check that no two of these have the same name; `what` is their plural."""

    def check(found: Many) -> Many:
        if len({one.name for one in found}) < len(found):
            raise ValueError(f"two {what} have the same name")
        return found

    return check
