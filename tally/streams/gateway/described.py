"""What the gateway's addresses take and answer, for its description."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Annotated, Any

import orjson
from msgspec import UNSET, Meta, Struct, UnsetType

from tally.streams.gateway import results, webhooks
from tally.streams.gateway.items import ARRAY, LINES, MOST_ITEMS
from tally.streams.gateway.signature import SIGNATURE
from tally.streams.keys.access import Needed
from tally.streams.web.answers import Count
from tally.streams.web.openapi import JSON, REFERENCE, Answers, Body, Json, Operation, component
from tally.streams.web.parameters import Parameter
from tally.streams.web.published import PATH, SAYS, DescriptionAnswer, Published, needed_by, published

OF_BODIES = (408, 413, 415)
NAMES: Mapping[str, str] = {
    "webhook-events": "WebhookBody",
    "send-results": "SendResult",
    "campaigns": "Campaign",
}
"""Of the schemas of events, by topic."""
SAYINGS = {
    "send-results": "publish what happened to attempts to reach contacts",
    "campaigns": "publish what campaigns are called, and what is planned",
}
_EXAMPLES = files("tally.schemas").joinpath("examples")
_TEXT = Annotated[str, Meta(min_length=1)]
_SIGNED = Parameter(
    SIGNATURE,
    Annotated[str, Meta(pattern="^sha256=[0-9a-f]{64}$")],
    "HMAC-SHA256 of the body under the app secret",
)


class AddedCounts(Struct, frozen=True):
    """What a row would count."""

    row: dict[str, Any]
    added: dict[str, int]


class PostedAnswer(Struct, frozen=True, kw_only=True):
    """How many items were published; with `dry_run`, what they would be and count."""

    accepted: Count | UnsetType = UNSET
    dry_run: bool | UnsetType = UNSET
    items: Count | UnsetType = UNSET
    facts: dict[str, Count] | UnsetType = UNSET
    counters: list[AddedCounts] | UnsetType = UNSET


def description() -> Published:
    """Return the description of the gateway."""
    schemas = {name: component(name, _schema(topic)) for topic, name in NAMES.items()}
    operations = [*_webhooks(), *(_posted(path, topic) for path, topic in results.PATHS.items()), DESCRIPTION]
    return published("Tally: the gateway", operations, schemas)


DESCRIPTION = Operation(
    "openapi", "get", PATH, SAYS, Answers(DescriptionAnswer, (304,)), needed=needed_by("ingest")
)


def _webhooks() -> tuple[Operation, Operation]:
    asked = tuple(
        Parameter(f"hub.{name}", _TEXT, says)
        for name, says in (
            ("mode", "subscribe"),
            ("verify_token", "the app's verify token"),
            ("challenge", "what the answer repeats"),
        )
    )
    body = Body({JSON: _reference("webhook-events")}, _examples("webhook-events"))
    return (
        Operation(
            "handshake",
            "get",
            webhooks.PATH,
            "Meta's question whether this address is the app's",
            Answers(None, (403,), "text/plain"),
            asked,
            needed=None,
        ),
        Operation(
            "webhook",
            "post",
            webhooks.PATH,
            "take a webhook of Meta: 200 once the brokers have it",
            Answers(None, (401, 503, *OF_BODIES), None),
            needed=None,
            body=body,
            headers=(_SIGNED,),
        ),
    )


def _posted(path: str, topic: str) -> Operation:
    items = {"type": "array", "items": _reference(topic), "minItems": 1, "maxItems": MOST_ITEMS}
    lines = {"type": "string", "description": "one JSON object a line"}
    examples = {name: [value] for name, value in _examples(topic).items()}
    return Operation(
        f"post-{topic}",
        "post",
        path,
        f"{SAYINGS[topic]}: all items or none",
        Answers(PostedAnswer, (422, *OF_BODIES)),
        (results.DRY_RUN,),
        Needed("ingest"),
        Body({ARRAY: items, LINES: lines}, examples),
    )


def _reference(topic: str) -> Json:
    return {"$ref": REFERENCE.format(name=NAMES[topic])}


def _schema(topic: str) -> Json:
    schema: Json = orjson.loads(_EXAMPLES.joinpath(f"{topic}.schema.json").read_bytes())
    return schema


def _examples(topic: str) -> dict[str, Any]:
    found = sorted(_EXAMPLES.joinpath(topic).iterdir(), key=lambda one: one.name)
    return {one.name.removesuffix(".json"): orjson.loads(one.read_bytes()) for one in found}
