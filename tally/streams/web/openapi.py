"""The description of a server as OpenAPI 3.1, made from the types that check its requests. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tally.streams.keys.access import Needed
from tally.streams.web.answers import Error
from tally.streams.web.cookies import COOKIE
from tally.streams.web.parameters import PATH_PARAMETERS, Parameter

Json = dict[str, Any]
JSON = "application/json"
VERSION = "3.1.0"
API_VERSION = "1"
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
REFERENCE = "#/components/schemas/{name}"
STATUSES: Mapping[int, str] = {
    200: "The answer.",
    304: "Nothing has changed since the answer with the tag in `If-None-Match`.",
    400: "A parameter is unknown or has a wrong value: the message says what was expected.",
    401: "No valid key.",
    403: "The key lacks the scope, or a page of a foreign origin asks.",
    404: "There is nothing of this name, or the key is for no such tenant.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body's type or encoding is not taken.",
    421: "The name in `Host` is not this server's.",
    422: "It was understood, and cannot be done: the message says what can.",
    429: "The key asks too often: `Retry-After` says when to ask again.",
    500: "The request failed; the server's log says why.",
    503: "Something is away for now: ask again.",
}
OF_ALL = (400, 500)
"""Statuses that any address answers with."""
OF_KEYS = (401, 403, 421, 503)
"""Those of an address that needs a key or a log-in."""
OF_LIMITS = (429,)
"""Those of an address that a key opens."""
_REQUEST_ID = {
    "description": "The id of the request, the client's or a new one.",
    "schema": {"type": "string"},
}
_RETRY_AFTER = {"description": "Seconds until asking again is of use.", "schema": {"type": "integer"}}
_ETAG = {"description": "A weak tag, for `If-None-Match`.", "schema": {"type": "string"}}


Way = Literal["key", "cookie"]
"""What opens an address."""
SCHEMES: Mapping[Way, Json] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "tally_<id>_<secret>",
        "description": "A key of `tally keys add`; the roles are scopes.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "Of a page of this server that has logged in with a key: opens what that key does,"
        " to read; the roles are its scopes.",
    },
}


class Answers(Struct, frozen=True):
    """What an address answers with."""

    type: Any
    """Of which the schema of 200 is made; None where that is not JSON."""
    also: tuple[int, ...] = ()
    media_type: str | None = JSON
    """None where the answer has no body."""
    example: Any = None


class Body(Struct, frozen=True):
    """What an address takes: JSON Schemas by media type, and examples in JSON."""

    schemas: Mapping[str, Json]
    examples: Mapping[str, Any]


class Operation(Struct, frozen=True):
    """One method of one address."""

    name: str
    method: str
    path: str
    says: str
    answers: Answers
    parameters: tuple[Parameter, ...] = ()
    needed: Needed | None = Needed("read")
    body: Body | None = None
    headers: tuple[Parameter, ...] = ()
    """Headers without which it refuses a request."""
    opened_by: tuple[Way, ...] = ("key",)
    """What opens it where it needs anything, one of these: a key, the cookie of a log-in."""


def openapi(title: str, operations: Sequence[Operation], more: Mapping[str, Json]) -> Json:
    """Return the description of a server; `more` are schemas by name that bodies refer to."""
    ways = {way for one in operations if one.needed is not None for way in one.opened_by}
    types = [Error, *(one.answers.type for one in operations if one.answers.type is not None)]
    shown, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    schemas = dict(zip(types, shown, strict=True))
    paths: Json = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method] = _operation(one, schemas)
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": API_VERSION, "license": LICENSE},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted((components | dict(more)).items())),
            "securitySchemes": {way: scheme for way, scheme in SCHEMES.items() if way in ways},
        },
    }


def component(name: str, schema: Mapping[str, Any]) -> Json:
    """Return a JSON Schema as a component of this name: its references lead to itself."""
    kept = {key: value for key, value in schema.items() if key not in ("$schema", "$id")}
    return dict(_moved(kept, f"{REFERENCE.format(name=name)}/$defs/"))


def _moved(part: Any, to: str) -> Any:
    if isinstance(part, list):
        return [_moved(one, to) for one in part]
    if not isinstance(part, dict):
        return part
    moved = {key: _moved(value, to) for key, value in part.items()}
    if "$ref" in part:
        moved["$ref"] = part["$ref"].replace("#/$defs/", to)
    return moved


def _operation(one: Operation, schemas: Mapping[Any, Json]) -> Json:
    described: Json = {
        "operationId": one.name,
        "summary": one.says,
        "security": [] if one.needed is None else _security(one.needed, one.opened_by),
        "parameters": [
            *(_parameter(PATH_PARAMETERS[name], "path") for name in re.findall(r"\{(\w+)\}", one.path)),
            *(_parameter(parameter, "query") for parameter in one.parameters),
            *(_parameter(parameter, "header") for parameter in one.headers),
        ],
        "responses": {str(status): _response(one, status, schemas) for status in _statuses(one)},
    }
    if one.body is not None:
        content: Json = {media_type: {"schema": schema} for media_type, schema in one.body.schemas.items()}
        content[JSON]["examples"] = {name: {"value": value} for name, value in one.body.examples.items()}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _security(needed: Needed, opened_by: Sequence[Way]) -> list[Json]:
    return [{way: [scope]} for scope in needed.scopes for way in opened_by]


def _statuses(one: Operation) -> Iterable[int]:
    of_keys = () if one.needed is None else OF_KEYS
    of_limits = OF_LIMITS if one.needed is not None and "key" in one.opened_by else ()
    of_names = (404,) if "{" in one.path else ()
    return sorted({200, *OF_ALL, *of_keys, *of_limits, *of_names, *one.answers.also})


def _response(one: Operation, status: int, schemas: Mapping[Any, Json]) -> Json:
    headers: Json = {"X-Request-Id": _REQUEST_ID}
    if status in (429, 503):
        headers["Retry-After"] = _RETRY_AFTER
    if status in (200, 304) and 304 in one.answers.also:
        headers["ETag"] = _ETAG
    response: Json = {"description": STATUSES[status], "headers": headers}
    if status == 304 or (status == 200 and one.answers.media_type is None):
        return response
    if status != 200:
        return response | {"content": {JSON: {"schema": schemas[Error]}}}
    schema = {"type": "string"} if one.answers.type is None else schemas[one.answers.type]
    content: Json = {"schema": schema}
    if one.answers.example is not None:
        content["examples"] = {one.name: {"value": one.answers.example}}
    return response | {"content": {one.answers.media_type: content}}


def _parameter(parameter: Parameter, place: str) -> Json:
    schema = msgspec.json.schema(parameter.type)
    if parameter.most > 1:
        schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": parameter.most}
    return {
        "name": parameter.name,
        "in": place,
        "required": place != "query" or parameter.is_required,
        "description": parameter.says,
        "schema": schema,
    }
