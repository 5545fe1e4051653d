"""The address at which a server describes itself, as OpenAPI 3.1."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson
from aiohttp import web
from faust.web import View
from msgspec import Struct

from tally.streams.keys.access import Needed
from tally.streams.keys.key import Scope
from tally.streams.web.openapi import Json, Operation, openapi
from tally.streams.web.responses import json_response, tagged, unchanged

PATH = "/openapi.json"
SAYS = "what this server answers, as OpenAPI 3.1"


class DescriptionAnswer(Struct, frozen=True):
    """An OpenAPI document."""

    openapi: str
    info: dict[str, Any]
    servers: list[dict[str, str]]
    paths: dict[str, dict[str, Any]]
    components: dict[str, dict[str, Any]]


class Published(Struct, frozen=True):
    """A description as it is served."""

    document: Json
    tag: str

    def answer(self, request: web.Request) -> web.Response:
        """Answer with the description."""
        return unchanged(request, self.tag) or json_response(self.document, headers=tagged(self.tag))


PUBLISHED = web.AppKey("published", Published)


class DescriptionView(View):
    """What this server answers."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer with the description of this server."""
        return request.app[PUBLISHED].answer(request)


def needed_by(scope: Scope) -> Needed:
    """Return what the description asks of a key: the server's own scope, and no tenant."""
    return Needed(scope, is_tenants=False)


def published(title: str, operations: Sequence[Operation], more: Mapping[str, Json]) -> Published:
    """Return the description of a server with these operations."""
    document = openapi(title, operations, more)
    return Published(document, blake2b(orjson.dumps(document), digest_size=12).hexdigest())
