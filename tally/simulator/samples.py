"""The real bodies that everything simulated is made from (bodies/SOURCES.md says whose they are)."""

import json
from functools import cache
from importlib.resources import files
from typing import cast

from tally.simulator.records import Json


@cache
def _text(name: str) -> str:
    return (files(__package__) / "bodies" / f"{name}.json").read_text(encoding="utf-8")


def sample(name: str) -> Json:
    """A fresh copy of one sample body, to be changed freely."""
    return cast(Json, json.loads(_text(name)))


def change_of(body: Json) -> Json:
    """The only change of a sample body: `field` and `value`."""
    return cast(Json, body["entry"][0]["changes"][0])


def value_of(body: Json) -> Json:
    """The `value` of the only change of a sample body."""
    return cast(Json, change_of(body)["value"])
