"""The description of all topics: valid AsyncAPI 3.0, every topic in it, and examples that fit."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from typer.testing import CliRunner

from tally.schemas.sources import RAW_TOPICS
from tally.schemas.topics import Names, declared
from tally.streams.cli.topics import app
from tally.streams.operations.asyncapi import asyncapi
from tally.streams.web.openapi import Json

SPECIFICATION = Path(__file__).parents[1] / "samples" / "asyncapi" / "3.0.0.json"
NAMES = Names("prefix-", 7)
DECLARED = declared(NAMES, partitions=3, compaction_lag_ms=60_000)


@pytest.fixture(scope="module")
def specification() -> Draft7Validator:
    return Draft7Validator(orjson.loads(SPECIFICATION.read_bytes()))


@pytest.fixture(scope="module")
def document() -> Json:
    return asyncapi(NAMES, DECLARED, min_insync=1)


def test_the_description_is_valid(specification: Draft7Validator, document: Json) -> None:
    assert [error.message for error in specification.iter_errors(document)] == []
    for at, wrong in (
        (("info",), {"version": None}),
        (("operations", "read-campaigns"), {"action": "subscribe"}),
        (("channels", "campaigns"), {"topic": "campaigns"}),
        (("channels", "campaigns", "messages", "campaigns"), {"contentType": 7}),
    ):
        part = broken = deepcopy(document)
        for name in at:
            part = part[name]
        part.update(wrong)
        assert not specification.is_valid(broken), at


def test_the_command_prints_it_without_asking_a_broker(specification: Draft7Validator) -> None:
    shown = CliRunner().invoke(app, ["asyncapi"])
    assert shown.exit_code == 0
    assert specification.is_valid(orjson.loads(shown.output))


def test_every_topic_is_described_under_its_full_name_as_it_is_declared(document: Json) -> None:
    channels = {one["address"]: one["bindings"]["kafka"] for one in document["channels"].values()}
    topics = {one.name: one for one in DECLARED}
    assert channels.keys() == topics.keys()
    for name, topic in topics.items():
        assert channels[name]["partitions"] == topic.partitions
        configured = topic.config(1)
        for setting, value in channels[name]["topicConfiguration"].items():
            assert configured[setting] == (value[0] if isinstance(value, list) else str(value)), (
                name,
                setting,
            )
    actions = {one["channel"]["$ref"]: one["action"] for one in document["operations"].values()}
    for name in document["channels"]:
        expected = "receive" if name in RAW_TOPICS else "send"
        assert actions[f"#/channels/{name}"] == expected, f"{name}: who writes it?"


def test_every_payload_has_a_schema_that_its_examples_fit(document: Json) -> None:
    seen = 0
    for name, channel in document["channels"].items():
        (message,) = channel["messages"].values()
        schema: dict[str, Any] = message["payload"] | {"components": document["components"]}
        Draft202012Validator.check_schema(schema)
        for example in message.get("examples", ()):
            error = next(Draft202012Validator(schema).iter_errors(example["payload"]), None)
            assert error is None, (name, example["name"], error)
            assert not Draft202012Validator(schema).is_valid([example["payload"]]), name
            seen += 1
    assert seen >= 20
