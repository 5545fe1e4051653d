"""The real bodies from which the simulator makes all others (sources: bodies/SOURCES.md)."""

import json
from functools import cache
from importlib.resources import files
from typing import cast

from tally.simulator.records import Json


@cache
def _text(name: str) -> str:
    return (files(__package__) / "bodies" / f"{name}.json").read_text(encoding="utf-8")


def sample(name: str) -> Json:
    """Return a new copy of one sample body, which the caller may change."""
    return cast(Json, json.loads(_text(name)))


def change_of(body: Json) -> Json:
    """Return the only change of a sample body: `field` and `value`."""
    return cast(Json, body["entry"][0]["changes"][0])


def value_of(body: Json) -> Json:
    """Return the `value` of the only change of a sample body."""
    return cast(Json, change_of(body)["value"])
