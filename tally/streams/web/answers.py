"""The types of answers: what the published schemas are made of, and each answer of a test is held against.

Answers themselves are made from rows as JSON, without these types: most of them are kept or joined as bytes.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct

from tally.agents.view.receipt import State as ReceiptState
from tally.schemas.confidence import FailureShare
from tally.schemas.counters import API_ORDER, BY_NAME, DERIVED_BY_NAME, RATES

Time = Annotated[str, Meta(description="RFC 3339 in UTC, or of a series' buckets in its zone")]
Count = Annotated[int, Meta(ge=0)]
Channel = Literal["whatsapp", "voice"]


class Fault(Struct, frozen=True):
    """Why a request was refused."""

    code: Annotated[str, Meta(description="for programs", examples=["bad_parameter"])]
    message: Annotated[str, Meta(description="for people: what was expected")]


class Ready(Struct, frozen=True):
    """How many partitions of the facts log are whole in what answers, and of how many."""

    ready: Count
    of: Count


class Opened(Struct, frozen=True):
    """The progress in opening the tables of a partition."""

    read: Count
    of: Annotated[int, Meta(description="0 while unknown")]
    seconds_left: int | None


class ReceiptShown(Struct, frozen=True, kw_only=True):
    """Up to when everything that reached the raw topics is counted, and what is missing from that."""

    as_of: Time | None
    lag_ms: Count | None
    state: ReceiptState
    generation: Count
    partitions: Ready
    progress: Annotated[dict[str, Count], Meta(description="next offset of each partition of the facts log")]
    incomplete: Count | UnsetType = UNSET
    incomplete_by: dict[str, Count] | UnsetType = UNSET
    incomplete_acknowledged: Count | UnsetType = UNSET
    withheld: Annotated[int, Meta(description="what Postgres has refused")] | UnsetType = UNSET
    opening: dict[str, Opened] | UnsetType = UNSET


class BadPart(Struct, frozen=True):
    """A part of an item that would not count."""

    index: Annotated[int, Meta(ge=0, description="the item's place in the body")]
    reason: str
    path: Annotated[str, Meta(description="where in the item", examples=["$.time"])]
    expected: str


class Error(Struct, frozen=True, kw_only=True):
    """A request that was refused, or failed."""

    error: Fault
    receipt: ReceiptShown | UnsetType = UNSET
    bad: list[BadPart] | UnsetType = UNSET
    refused: Annotated[int, Meta(description="how many parts are bad")] | UnsetType = UNSET


class Distribution(Struct, frozen=True):
    """A distribution of times; percentiles are null where there is none."""

    count: Count
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None
    negative: Annotated[int, Meta(description="times below 0, which two clocks make")]


class RateShown(Struct, frozen=True):
    """A rate; null where the denominator is 0."""

    value: float | None
    of: Annotated[str, Meta(description="the denominator")]


def _number(name: str) -> Any:
    """Return the type of a number of a campaign."""
    derived = DERIVED_BY_NAME.get(name)
    said = Meta(description=derived.meaning if derived else BY_NAME[name].meaning)
    kind = "count" if derived else BY_NAME[name].kind
    shown = {"count": int, "map": dict[str, int], "seconds": Distribution}[kind]
    return Annotated[shown, said] | UnsetType


# Which of them an answer has depends on the campaign's channel.
Numbers = defstruct(
    "Numbers",
    [(name, _number(name), UNSET) for name in API_ORDER],
    namespace={"__doc__": "Numbers of a campaign or template: those that concern its channel."},
    frozen=True,
)
Rates = defstruct(
    "Rates",
    [(one.name, Annotated[RateShown, Meta(description=one.meaning)] | UnsetType, UNSET) for one in RATES],
    namespace={"__doc__": "Rates of a campaign or template whose two numbers it has."},
    frozen=True,
)


class Named(Struct, frozen=True):
    """A template; free-form messages have an empty name."""

    name: str
    language: str
    ids: list[str]


class TemplateNamed(Struct, frozen=True):
    """A template's name and language."""

    name: str
    language: str


class TemplateShown(Struct, frozen=True):
    """A template of a campaign, or a script of a voice campaign."""

    template: Named
    counters: Numbers  # type: ignore[valid-type]
    rates: Rates  # type: ignore[valid-type]


class OtherTemplates(Struct, frozen=True):
    """All templates that an answer does not show, as one."""

    templates: Count
    counters: Numbers  # type: ignore[valid-type]
    rates: Rates  # type: ignore[valid-type]


class Described(Struct, frozen=True, kw_only=True):
    """What a producer has said of a campaign, with what is counted of it."""

    campaign: str
    channel: Channel
    name: str | None
    status: str | None
    tags: list[str]
    planned: int | None
    limits: dict[str, int]
    totals: Numbers  # type: ignore[valid-type]
    rates: Rates  # type: ignore[valid-type]
    failure_share: FailureShare
