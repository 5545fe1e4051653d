"""The published examples and JSON Schemas say what Tally does."""

from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

import tally.schemas
from tally.schemas.errors import REASONS
from tally.schemas.sources import READERS
from tally.tables.rules import Rules
from tests.support.partition import MemoryPartition
from tests.unit.schemas.sends.test_full import ACCEPTED

EXAMPLES = Path(tally.schemas.__file__).parent / "examples"
SAMPLES = Path(__file__).parents[1] / "samples" / "whatsapp"


def examples() -> list[tuple[str, Path]]:
    return [(topic, path) for topic in READERS for path in sorted((EXAMPLES / topic).glob("*.json"))]


def schema(topic: str) -> Any:
    return orjson.loads((EXAMPLES / f"{topic}.schema.json").read_bytes())


@pytest.mark.parametrize(("topic", "path"), examples(), ids=lambda value: getattr(value, "stem", value))
def test_an_example_fits_its_schema_and_counts(topic: str, path: Path) -> None:
    jsonschema.Draft202012Validator(schema(topic)).validate(orjson.loads(path.read_bytes()))
    routed = READERS[topic](path.read_bytes())

    assert not routed.bad
    assert routed.facts


@pytest.mark.parametrize(
    ("time", "fits"),
    [
        ("2026-11-22T12:34:34Z", True),
        ("2026-11-22 12:34:34.5-03:00", True),
        ("2026-11-22T12:34:34", False),
        ("2026-11-22", False),
        ("yesterday", False),
    ],
)
def test_a_time_fits_the_schema_where_it_has_a_zone_and_only_then_counts(time: str, fits: bool) -> None:
    event = {**ACCEPTED, "time": time}

    assert jsonschema.Draft202012Validator(schema("send-results")).is_valid(event) == fits
    assert (not READERS["send-results"](orjson.dumps(event)).bad) == fits


@pytest.mark.parametrize("topic", READERS)
def test_a_schema_is_valid_itself(topic: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(topic))


def test_all_examples_fold_into_the_funnel_they_describe() -> None:
    partition = MemoryPartition()
    partition.fold(
        [keyed for topic, path in examples() for keyed in READERS[topic](path.read_bytes()).facts], Rules()
    )
    template = partition.counts()[f"t1/{ACCEPTED['campaign']}/promo_nov/pt_BR".encode()]

    funnel = {"contacts": 4, "attempts": 5, "accepted": 2, "delivered": 1, "read": 1, "replied": 1}

    assert {name: template[name] for name in funnel} == funnel
    call = partition.counts()[b"7/4001//"]
    assert (call["requested"], call["answered"], call["connected_ms"] // 1000, call["queue_joins"]) == (
        1,
        1,
        26,
        1,
    )


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_every_real_body_is_read_or_named_bad_and_folds(path: Path) -> None:
    routed = READERS["webhook-events"](path.read_bytes())
    is_webhook = "object" in orjson.loads(path.read_bytes())

    # One fixture has the word TIMESTAMP for a time; what is no webhook lacks the `object`.
    expected = {"bad_time"} if path.stem.endswith("status-ui") else set() if is_webhook else {"missing_field"}
    assert {bad.reason for bad in routed.bad} == expected
    if routed.facts:
        MemoryPartition().fold(routed.facts, Rules())


def test_the_example_of_a_dead_letter_has_a_known_reason() -> None:
    for path in (EXAMPLES / "dead-letters").glob("*.json"):
        assert orjson.loads(path.read_bytes())["headers"]["reason"] in REASONS
