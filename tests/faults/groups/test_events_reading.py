"""D10 and D11: what was ever published is still read, and nothing that can be published is an exception.

That an unknown version of a fact stops the fold is held by tests/unit/agents/fold/test_batch.py,
that the stored examples fit the published schemas by tests/contract/test_examples.py.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tally.schemas
from tally.schemas.errors import REASONS
from tally.schemas.sources import READERS
from tests.unit.schemas.ami.test_reader import HEADERS

EXAMPLES = Path(tally.schemas.__file__).parent / "examples"
SAMPLES = Path(__file__).parents[2] / "samples"
EXAMPLES_EACH = 10_000
READS_AN_EXAMPLE = 50
"""To make an example costs more than to read it; the seed that fails is printed."""
READ_SECONDS = 0.05
OF_NEXT_YEAR = {"field_of_next_year": {"deep": [1, None, "x"]}}


def stored(topic: str) -> list[bytes]:
    """Return the stored examples of a topic, all of version 1."""
    return [path.read_bytes() for path in sorted((EXAMPLES / topic).glob("*.json"))]


def real(topic: str) -> list[bytes]:
    """Return real bodies of a topic: fuzz starts from them."""
    packets = [packet for path in sorted(SAMPLES.glob("ami/*.ami")) for packet in _packets(path)]
    bodies = {"webhook-events": [path.read_bytes() for path in sorted(SAMPLES.glob("whatsapp/*.json"))]}
    return [*stored(topic), *bodies.get(topic, []), *(packets if topic == "ami-events" else [])]


def _packets(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\r\n\r\n")[:20]


def grown(value: Any) -> Any:
    """Return JSON with one more field in each of its objects."""
    if isinstance(value, dict):
        return {name: grown(part) for name, part in value.items()} | OF_NEXT_YEAR
    return [grown(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("topic", ["webhook-events", "send-results"])
def test_fields_of_a_later_version_change_no_fact_of_any_stored_example(topic: str) -> None:
    for example in stored(topic):
        assert (
            READERS[topic](orjson.dumps(grown(orjson.loads(example)))).facts == READERS[topic](example).facts
        )


def test_another_version_of_a_send_result_is_kept_and_its_neighbours_count() -> None:
    example = orjson.loads(stored("send-results")[0])
    read = [READERS["send-results"](orjson.dumps(example | {"v": version})) for version in (1, 2, 1, 3)]

    assert [bool(routed.facts) for routed in read] == [True, False, True, False]
    assert [bad.reason for routed in read for bad in routed.bad] == ["unknown_version"] * 2


def read_in_time(topic: str, value: bytes) -> None:
    """Read a record. Raises AssertionError where that takes too long or comes to what has no name."""
    reasons = {bad.reason for bad in READERS[topic](value, HEADERS).bad}

    assert reasons <= set(REASONS), value
    # Once more where it took long: a collection of this process's garbage takes longer than any record.
    assert any(_seconds(topic, value) <= READ_SECONDS for _ in range(3)), value


def _seconds(topic: str, value: bytes) -> float:
    began = time.thread_time()
    READERS[topic](value, HEADERS)
    return time.thread_time() - began


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from _places(part, (*path, name))


def _with(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(copy[path[0]], path[1:], new)
    return copy


def odd(rng: Random, depth: int = 0) -> Any:
    """Return JSON of any kind."""
    if depth < 3 and rng.random() < 0.3:
        parts = [odd(rng, depth + 1) for _ in range(rng.randrange(4))]
        return parts if rng.random() < 0.5 else {rng.choice(NAMES): part for part in parts}
    return rng.choice((*ODD, rng.getrandbits(70) - (1 << 69), rng.random() * 10 ** rng.randrange(300)))


@given(st.integers())
@settings(max_examples=EXAMPLES_EACH // READS_AN_EXAMPLE, deadline=None, database=None)
@pytest.mark.parametrize("topic", READERS)
def test_any_value_at_any_place_of_a_real_body_comes_to_facts_or_named_reasons(topic: str, seed: int) -> None:
    rng, bodies = Random(seed), BODIES[topic]
    for _ in range(READS_AN_EXAMPLE):
        body, places = rng.choice(bodies)
        read_in_time(topic, json.dumps(_with(body, rng.choice(places), odd(rng))).encode())


@given(st.integers())
@settings(max_examples=EXAMPLES_EACH // READS_AN_EXAMPLE, deadline=None, database=None)
@pytest.mark.parametrize("topic", READERS)
def test_any_bytes_in_a_real_body_come_to_facts_or_named_reasons(topic: str, seed: int) -> None:
    rng, bodies = Random(seed), RAW[topic]
    for _ in range(READS_AN_EXAMPLE):
        body = rng.choice(bodies)
        place, cut = rng.randrange(len(body) + 1), rng.randrange(40)
        read_in_time(topic, body[:place] + rng.randbytes(rng.randrange(12)) + body[place + cut :])


RAW = {topic: real(topic) for topic in READERS}
PARSED = {
    topic: [orjson.loads(body) for body in bodies if body.startswith(b"{")] for topic, bodies in RAW.items()
}
BODIES = {topic: [(body, list(_places(body))) for body in bodies] for topic, bodies in PARSED.items()}
NAMES = ("Event", "Uniqueid", "ChanVariable", "id", "status", "timestamp", "statuses", "campaign", "\0", "")
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, "", "x", "\0", "7", "x" * 600, "Hangup", "read", "1795350000", [], {}),
)
