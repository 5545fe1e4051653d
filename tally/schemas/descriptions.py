"""What is said of a campaign: its fact, its entries in a row, and what these come to. Pure.

A row holds numbers only: a text is the name of a count of one, as `description.name=November`.
"""

from collections.abc import Mapping

from msgspec import Struct

from tally.schemas.places import NOWHERE

DESCRIPTION = b"d"
COUNTED_AS = "description."
"""Begins the names of a description's counts."""


class Description(Struct, frozen=True, omit_defaults=False):
    """What a campaign is called, and what is planned; None and empty where nobody has said it."""

    name: str | None = None
    status: str | None = None
    tags: list[str] = []
    """In order."""
    planned: int | None = None
    """How many contacts it is for."""
    limits: dict[str, int] = {}
    """How fast it may go: `per_second`, `per_day`."""


FIELDS: tuple[str, ...] = Description.__struct_fields__
LIMITS = ("per_day", "per_second")
_ONE = ("name", "status", "planned")


class Described(Struct, frozen=True, array_like=True, gc=False):
    """At this time somebody said what these fields are: each is a list of entries, empty for none."""

    at_ms: int
    fields: dict[str, list[str]]
    place: int = NOWHERE


def counts_of(entries: Mapping[str, list[str]]) -> dict[str, int]:
    """Return the counts of a row that say what fields have come to."""
    return {COUNTED_AS + entry: 1 for of_field in entries.values() for entry in of_field}


def read_description(counts: Mapping[str, int]) -> Description:
    """Return what a row's counts say of its campaign; entries of a version that knows more are passed over.

    Of several names the smallest holds: rows of two generations' partitions may give two.
    """
    said: dict[str, list[str]] = {}
    for count, times in counts.items():
        if times and count.startswith(COUNTED_AS):
            field, _, value = count.removeprefix(COUNTED_AS).partition("=")
            said.setdefault(field, []).append(value)
    one = {field: min(said[field]) for field in _ONE if field in said}
    return Description(
        one.get("name"),
        one.get("status"),
        sorted(said.get("tag", ())),
        int(one["planned"]) if "planned" in one else None,
        {limit: int(min(said[f"limit.{limit}"])) for limit in LIMITS if f"limit.{limit}" in said},
    )
