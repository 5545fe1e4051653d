"""The description of all topics as AsyncAPI 3.0: what stands in each, and who writes and reads it. Pure."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from tally.schemas.errors import REASONS
from tally.schemas.numbers import Number
from tally.schemas.reports import AuditReport, GatewayReport
from tally.schemas.sources import RAW_TOPICS
from tally.schemas.topics import (
    API_KEYS,
    CHANGELOGS,
    COUNTERS,
    DEAD_LETTERS,
    DEPLOYMENT,
    NUMBERS,
    REPORTS,
    STATES,
    Names,
    Topic,
)
from tally.streams.keys.key import Key
from tally.streams.web.openapi import JSON, LICENSE, REFERENCE, Json, component

VERSION = "3.0.0"
BINDING = "0.5.0"
BYTES = "application/octet-stream"
FORMAT_VERSION = "1"
_EXAMPLES = files("tally.schemas").joinpath("examples")
_TEXT: Json = {"type": "string"}
_DIGITS: Json = {"type": "string", "pattern": "^[0-9]+$"}


class Described(Struct, frozen=True):
    """What stands in a topic."""

    says: str
    key: str
    """What the key of a record is, in words."""
    schema: Json
    media_type: str = JSON
    headers: Mapping[str, Json] = {}
    needed: tuple[str, ...] = ()
    """Headers that each record has."""
    is_written: bool = False
    """Whether Tally writes it; else it is read, and somebody else writes it."""
    has_examples: bool = False


_RECEIVED = {"received_at": _DIGITS | {"description": "when it was received, in unix ms"}}
_TENANT = {"tenant": _TEXT | {"description": "whose events these are"}}
_KEY = {"key": _TEXT | {"description": "the id of the key that posted it to the gateway"}}
RAW: Mapping[str, Described] = {
    "webhook-events": Described(
        "bodies of Meta's webhooks, unchanged",
        "none is needed",
        {"$ref": REFERENCE.format(name="webhook-events")},
        headers=_RECEIVED | _TENANT | {"app": _TEXT, "signature": _TEXT},
        has_examples=True,
    ),
    "send-results": Described(
        "what happened to attempts to reach contacts",
        "none is needed",
        {"$ref": REFERENCE.format(name="send-results")},
        headers=_RECEIVED | _KEY,
        has_examples=True,
    ),
    "ami-events": Described(
        "events of Asterisk PBXs, as JSON objects or as the packets' own text",
        "none is needed",
        {"$ref": REFERENCE.format(name="ami-events")},
        headers=_RECEIVED | _TENANT | {"pbx": _TEXT, "tenants": _TEXT, "malformed": _TEXT},
        has_examples=True,
    ),
    "campaigns": Described(
        "what campaigns are called, and what is planned",
        "tenant/campaign, with % as %25 and / as %2F",
        {"$ref": REFERENCE.format(name="campaigns")},
        headers=_RECEIVED | _KEY,
        has_examples=True,
    ),
}
_BYTES: Json = {"type": "string", "format": "binary"}
_LETTER = {
    "reason": {"type": "string", "enum": sorted(REASONS)},
    "detail": _TEXT | {"description": "the first bad parts, and what was expected there; never a value"},
    "topic": _TEXT,
    "partition": _DIGITS,
    "offset": _DIGITS,
    "at": _DIGITS | {"description": "when it was written, in unix ms"},
}
REPORT_TYPES = (AuditReport, GatewayReport)
REPORT_NAMES = tuple(one.__name__ for one in REPORT_TYPES)
OWN: Mapping[str, Described] = {
    DEAD_LETTERS: Described(
        "records that cannot be counted, and why",
        "that of the record",
        _BYTES | {"description": "the record's own bytes"},
        BYTES,
        _LETTER
        | {"size": _DIGITS, "sha256": _TEXT, "without_headers": _TEXT}
        | {"own:signature": _TEXT | {"description": "each header of the record has this prefix"}},
        tuple(_LETTER),
        is_written=True,
    ),
    DEPLOYMENT: Described(
        "the id that brokers and database share",
        "none",
        {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "text/plain",
        is_written=True,
    ),
    NUMBERS: Described(
        "whose business numbers are",
        "the phone_number_id",
        {"$ref": REFERENCE.format(name="Number")},
        is_written=True,
    ),
    API_KEYS: Described(
        "keys of the HTTP interfaces, without their secrets",
        "the id of a key",
        {"$ref": REFERENCE.format(name="Key")},
        is_written=True,
    ),
    REPORTS: Described(
        "what audits and gateways say of themselves, once a minute",
        "the kind of process and its name, host:port",
        {"oneOf": [{"$ref": REFERENCE.format(name=name)} for name in REPORT_NAMES]},
        is_written=True,
    ),
}
FACTS = Described(
    "facts of all raw events, by subject; a format of this generation that only Tally reads",
    "the subject's, with a byte for its family",
    _BYTES,
    BYTES,
    is_written=True,
)
LOGS: Mapping[str, Described] = {
    STATES: Described(
        "the changelog of all tables but the rows; a format of this generation that only Tally reads",
        "the table's byte and the subject's key",
        _BYTES,
        BYTES,
        is_written=True,
    ),
    COUNTERS: Described(
        "the changelog of the rows; a format of this generation that only Tally reads",
        "the row's key",
        _BYTES,
        BYTES,
        is_written=True,
    ),
}


def asyncapi(names: Names, topics: Iterable[Topic], min_insync: int) -> Json:
    """Return the description of a deployment's topics, as they are declared."""
    channels, operations = dict[str, Json](), dict[str, Json]()
    described = _by_name(names)
    for topic in topics:
        name, what = described[topic.name]
        channels[name] = _channel(name, topic, what, min_insync)
        operations[f"{'write' if what.is_written else 'read'}-{name}"] = {
            "action": "send" if what.is_written else "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": what.says,
        }
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Tally: topics",
            "version": FORMAT_VERSION,
            "license": {"name": LICENSE["name"]},
            "description": "`receive`: what producers publish and Tally reads. `send`: what Tally writes.",
        },
        "defaultContentType": JSON,
        "channels": channels,
        "operations": operations,
        "components": {"schemas": _schemas()},
    }


def _by_name(names: Names) -> dict[str, tuple[str, Described]]:
    """Return by a topic's full name what it is called here, and what stands in it."""
    raw = {names.raw(topic): (topic, what) for topic, what in (*RAW.items(), *OWN.items())}
    logs = {names.changelog(log): (log, LOGS[log]) for log in CHANGELOGS}
    return raw | logs | {names.facts: ("facts", FACTS)}


def _channel(name: str, topic: Topic, what: Described, min_insync: int) -> Json:
    config = topic.config(min_insync)
    kept: Json = {"cleanup.policy": [config["cleanup.policy"]]}
    for setting in ("retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes"):
        if setting in config:
            kept[setting] = int(config[setting])
    return {
        "address": topic.name,
        "description": what.says,
        "messages": {name: _message(name, what)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": kept,
                "bindingVersion": BINDING,
            }
        },
    }


def _message(name: str, what: Described) -> Json:
    message: Json = {
        "name": name,
        "contentType": what.media_type,
        "payload": what.schema,
        "bindings": {"kafka": {"key": _TEXT | {"description": what.key}, "bindingVersion": BINDING}},
    }
    if what.headers:
        message["headers"] = {"type": "object", "properties": dict(what.headers), "required": [*what.needed]}
    if what.has_examples:
        found = sorted(_EXAMPLES.joinpath(name).iterdir(), key=lambda one: one.name)
        message["examples"] = [
            {"name": one.name.removesuffix(".json"), "payload": orjson.loads(one.read_bytes())}
            for one in found
        ]
    return message


def _schemas() -> dict[str, Any]:
    _, own = msgspec.json.schema_components([Number, Key, *REPORT_TYPES], ref_template=REFERENCE)
    raw = {
        topic: component(topic, orjson.loads(_EXAMPLES.joinpath(f"{topic}.schema.json").read_bytes()))
        for topic in RAW_TOPICS
    }
    return raw | own
