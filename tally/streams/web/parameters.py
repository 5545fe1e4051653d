"""Request parameters: how each is declared, checked and parsed. Pure.

The declared types check each request before its handler runs, and the published schemas are made of them.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Meta, Struct
from msgspec.inspect import IntType, LiteralType, type_info

from tally.schemas.errors import BadEvent
from tally.schemas.fields import producer_id


class BadParameter(Exception):
    """A parameter of a request is invalid; the message names the parameter and the fault."""


class NotTold(Exception):
    """A request can be read, and no number that is kept can answer it; the message says what is possible."""


class NotCounted(Exception):
    """Nothing is counted for the campaign that a request names; `receipt` says up to when, as answers do."""

    def __init__(self, receipt: object) -> None:
        super().__init__("nothing is counted for this campaign")
        self.receipt = receipt


Query = Mapping[str, Sequence[str]]
"""All values of each parameter of a request, as they came."""
Id = Annotated[str, Meta(min_length=1, max_length=128, pattern="^[^\\u0000]*$")]
Name = Annotated[str, Meta(min_length=1, pattern="^[^\\u0000]*$")]
CHARACTERS = "1 to 128 characters, none of them U+0000"
ID_EXPECTED = f"text of {CHARACTERS}"
Cursor = Annotated[str, Meta(min_length=1, max_length=4096, pattern="^[A-Za-z0-9_-]+$")]
MOST_DIGITS = 18


class Parameter(Struct, frozen=True):
    """A parameter of a query, or a variable part of a path."""

    name: str
    type: Any
    """The type of each value, with its bounds, as msgspec converts to it."""
    says: str
    """What it chooses, for the docs."""
    expected: str = ""
    """What a value must be, as a refusal says it; made from a number's bounds and a choice's values."""
    most: int = 1
    """How many values it may have: more than one come repeated."""
    has_commas: bool = False
    """Whether values may also be separated by commas."""
    is_required: bool = False

    def values(self, given: Sequence[str]) -> list[str]:
        """Return the values of a request, one by one."""
        return [part for text in given for part in text.split(",")] if self.has_commas else list(given)

    def check(self, given: Sequence[str]) -> None:
        """Refuse values that are not of the declared type, too many or none. Raises BadParameter."""
        if self.is_required and not given:
            raise self._refusal()
        if self.most == 1 and len(given) > 1:
            raise BadParameter(f"{self.name} must be given once")
        values = self.values(given)
        if len(values) > self.most:
            raise BadParameter(f"{self.name} may have at most {self.most} values")
        for text in values:
            # Digits may be a number; else msgspec would take 1e2 for one.
            is_digits = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
            try:
                msgspec.convert(text, self.type, strict=not is_digits)
            except msgspec.ValidationError:
                raise self._refusal() from None

    def _refusal(self) -> BadParameter:
        return BadParameter(f"{self.name} must be {self.expected or expected_of(self.type)}")


def expected_of(type_: Any) -> str:
    """Return what a value of a type must be, in words; of numbers with bounds, and of choices."""
    info = type_info(type_)
    if isinstance(info, IntType):
        return f"a whole number from {info.ge} to {info.le}"
    if isinstance(info, LiteralType):
        values = get_args(type_)  # in their order, which msgspec does not keep
        return f"one of {', '.join(values)}" if len(values) > 1 else str(values[0])
    raise TypeError(f"say what is expected of a {info}")


def limit_parameter(most: int, default: int) -> Parameter:
    """Return the parameter `limit` of a list."""
    limit = Annotated[int, Meta(ge=1, le=most)]
    return Parameter("limit", limit, f"entries of a page; {default} if not given")


def check_query(query: Query, known: Sequence[Parameter]) -> None:
    """Refuse a query with unknown parameters, or with values of a wrong type. Raises BadParameter.

    A misspelt filter that nobody reads would return everything.
    """
    if unknown := sorted(query.keys() - {one.name for one in known}):
        expected = ", ".join(one.name for one in known) if known else "none"
        raise BadParameter(f"unknown parameter {unknown[0]!r}: expected are {expected}")
    for one in known:
        one.check(query.get(one.name, ()))


CURSOR = Parameter(
    "cursor",
    Cursor,
    "where the page begins: `next_cursor` of the page before",
    "the next_cursor of an earlier answer",
)
PATH_PARAMETERS: Mapping[str, Parameter] = {
    one.name: one
    for one in (
        Parameter("tenant", Id, "whose numbers"),
        Parameter("campaign", Id, "the id of a campaign"),
        Parameter("operator", Name, "the interface of an operator, such as PJSIP/201"),
        Parameter("queue", Name, "the name of a queue"),
        Parameter("message", Name, "a message: the `subject` of its lines, or its wamid beside `number`"),
        Parameter("call", Name, "a call: the `subject` of its lines, or its smallest id beside `number`"),
        Parameter("customer", Name, "a customer: the `subject` of its lines, or its phone beside `number`"),
        Parameter("file", Name, "the name of a file of the pages"),
        Parameter("version", Name, "the version of the pages that a page names for its files"),
        Parameter("app", Name, "the name of an app in TALLY_GATEWAY_APPS"),
    )
}
"""What stands in braces in paths."""


def checked_target(target: str) -> None:
    """Refuse a request target that is not UTF-8. Raises BadParameter.

    Otherwise such bytes would stay as `%FF` and be taken for an id written that way.
    """
    if target.isascii() and "%" not in target:
        return
    try:
        unquote_to_bytes(target).decode()
    except UnicodeError:
        raise BadParameter("the address is not UTF-8") from None


def read_id(name: str, text: str) -> str:
    """Return an id in the form in which it is counted: UUIDs in lower case. Raises BadParameter."""
    try:
        return producer_id(text, name)
    except BadEvent:
        raise BadParameter(f"{name} must have {CHARACTERS}") from None


def checked_name(name: str, text: str) -> str:
    """Return what a PBX names, as it is. Raises BadParameter for U+0000, which Postgres does not take."""
    if "\0" in text:
        raise BadParameter(f"{name} must be without U+0000")
    return text


def single(query: Query, name: str) -> str | None:
    """Return the value of a parameter that may have one; None if it is not given."""
    values = query.get(name, ())
    return values[0] if values else None
