"""Holds answers against a server's description: status, media type and the schema of each."""

import re
from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from tally.streams.web.openapi import JSON, Json

SHARED = frozenset({404, 405})
"""Statuses of addresses and methods that there are not: nobody describes them."""


def closed(schema: Any) -> Any:
    """Return a schema that takes no field which it does not name: clients may, our own answers must not."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        shut["additionalProperties"] = False
    return shut


class Described:
    """The description of one server, as a judge of its answers."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self._paths = [
            (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), operations)
            for path, operations in document["paths"].items()
        ]
        self._validators: dict[str, Draft202012Validator] = {}
        self.seen: set[tuple[str, int]] = set()
        """(operation, status) of each answer that was held against its schema."""

    @cached_property
    def _components(self) -> Json:
        components = deepcopy(self.document["components"])
        schemas = {name: closed(one) for name, one in components["schemas"].items()}
        return {**components, "schemas": schemas}

    def validator(self, schema: Json) -> Draft202012Validator:
        """Return a validator of a schema of the description that knows all that it refers to."""
        key = orjson.dumps(schema).decode()
        if key not in self._validators:
            self._validators[key] = Draft202012Validator(closed(schema) | {"components": self._components})
        return self._validators[key]

    def open_validator(self, schema: Json) -> Draft202012Validator:
        """Return a validator as clients have it: what the schema does not name, it takes."""
        return Draft202012Validator(schema | {"components": self.document["components"]})

    def operation(self, method: str, path: str) -> Json | None:
        """Return what is said of a request; None where nothing is."""
        found = [operations for pattern, operations in self._paths if pattern.fullmatch(path)]
        wanted = "get" if method == "HEAD" else method.lower()
        return next((one[wanted] for one in found if wanted in one), None)

    def check(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Hold an answer against what is said of it; `path` is as it was sent, without the query."""
        operation = self.operation(method, path)
        if operation is None:
            if body and status in SHARED:
                self._hold({"$ref": "#/components/schemas/Error"}, body, f"{method} {path}: {status}")
            return
        name = operation["operationId"]
        where = f"{name}: {status}"
        assert str(status) in operation["responses"] or status == 405, f"{where} is not in the description"
        content = operation["responses"].get(str(status), {}).get("content", {})
        if method == "HEAD" or not content:
            return
        media_type = headers.get("Content-Type", "").partition(";")[0]
        if "*/*" not in content:
            assert media_type in content, f"{where} is {media_type}, which the description does not say"
        if media_type == JSON:
            self._hold(content[JSON]["schema"], body, where)
        self.seen.add((name, status))

    def _hold(self, schema: Json, body: bytes, where: str) -> None:
        error = next(self.validator(schema).iter_errors(orjson.loads(body)), None)
        assert error is None, (
            f"{where}: the answer is not as its type in streams/web says: "
            f"{error.message[:500] if error else ''} at {error.json_path if error else ''}"
        )
