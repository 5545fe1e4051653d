"""What producers without a Kafka client post: raw events in one body, of which all or none are published."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from aiohttp import web
from msgspec import structs

from tally.agents.clock import unix_ms
from tally.schemas.bounds import BAD_PARTS
from tally.schemas.conventions import Conventions
from tally.schemas.grains import KEY_COLUMNS, RowKey
from tally.schemas.numbers import Numbers
from tally.schemas.sources import key_of
from tally.streams.gateway.bodies import Unread, read_body
from tally.streams.gateway.intake import Intake
from tally.streams.gateway.items import MEDIA_TYPES, BadItem, NotItems, bad_parts, items_of
from tally.streams.gateway.observer import GatewayObserver
from tally.streams.gateway.queued import Record
from tally.streams.keys.access import Needed
from tally.streams.operations.checking import Part, check
from tally.streams.web.admission import KEY_ID
from tally.streams.web.parameters import Parameter, check_query, read_id, single
from tally.streams.web.responses import json_response
from tally.tables.kafka.batches import Headers
from tally.tables.rules import Rules

TOPICS = ("send-results", "campaigns")
"""The raw topics whose events name their tenant."""
PATHS = {f"/v1/tenants/{{tenant}}/{topic}": topic for topic in TOPICS}
NEEDED = dict.fromkeys(PATHS, Needed("ingest"))
DRY_RUN = Parameter("dry_run", Literal["0", "1"], "1: publish nothing, and say what would be counted")
TURN_ITEMS = 50
"""Items that are read in one turn of the event loop: some milliseconds."""


class Results:
    """Answers producers at the address of each topic."""

    def __init__(
        self, intake: Intake, observer: GatewayObserver, conventions: Conventions, rules: Rules
    ) -> None:
        self._intake = intake
        self._observer = observer
        self._conventions = conventions
        self._rules = rules
        self.has_numbers = False
        """Whether it is known whose the business numbers are."""

    def read_by(self, numbers: Numbers) -> None:
        """Read by what is known of business numbers from now on, as route does."""
        self._conventions = structs.replace(self._conventions, numbers=numbers)
        self.has_numbers = True

    async def accept(self, request: web.Request) -> web.Response:
        """Publish all items: 200 once the brokers have them; 422 and nothing published if one is bad."""
        topic = PATHS[request.match_info.route.resource.canonical]  # type: ignore[union-attr]
        tenant = read_id("tenant", request.match_info["tenant"])
        is_dry = read_dry_run(request)
        if not self.has_numbers:
            raise Unread(503, "unavailable", "whose the business numbers are is not known yet")
        with self._intake.share() as share:
            body = await read_body(request, share, MEDIA_TYPES)
            try:
                items = items_of(body, request.content_type)
            except NotItems as error:
                return refused_body([BadItem(0, "wrong_type", "$", str(error))], 1)
            bad, refused = await self._bad(topic, tenant, items)
            if refused:
                self._observer.posted(topic, "refused", len(items))
                return refused_body(bad, refused)
            if is_dry:
                return json_response(await self._would_count(topic, items))
            await self._publish(topic, items, request[KEY_ID])
        return json_response({"accepted": len(items)})

    async def _bad(self, topic: str, tenant: str, items: Sequence[bytes]) -> tuple[list[BadItem], int]:
        """Return the first bad parts, and how many there are."""
        now_ms, found, refused = unix_ms(), list[BadItem](), 0
        for index, item in enumerate(items):
            if index % TURN_ITEMS == 0:
                await asyncio.sleep(0)
            bad = bad_parts(index, item, tenant, topic, self._conventions, now_ms)
            refused += len(bad)
            found += bad[: BAD_PARTS.most - len(found)]
        return found, refused

    async def _publish(self, topic: str, items: Sequence[bytes], key_id: str) -> None:
        headers: Headers = [("received_at", b"%d" % unix_ms()), ("key", key_id.encode())]
        try:
            await self._intake.publish(topic, [Record(item, headers, key_of(topic, item)) for item in items])
        except Unread:
            self._observer.posted(topic, "not_acknowledged", len(items))
            raise
        self._observer.posted(topic, "accepted", len(items))

    async def _would_count(self, topic: str, items: Sequence[bytes]) -> dict[str, Any]:
        """Return what the items would count if nothing had been published before."""
        facts: Counter[str] = Counter()
        rows: dict[RowKey, Counter[str]] = {}
        parts = [Part(number, item) for number, item in enumerate(items)]
        for one in check(topic, parts, (), self._conventions, self._rules, unix_ms()):
            facts += one.facts
            for row, counts in one.counters.items():
                rows.setdefault(row, Counter()).update(counts)
            await asyncio.sleep(0)
        return {
            "dry_run": True,
            "items": len(items),
            "facts": dict(sorted(facts.items())),
            "counters": [
                {"row": dict(zip(KEY_COLUMNS, row.columns(), strict=True)), "added": dict(counts)}
                for row, counts in rows.items()
            ],
        }


def read_dry_run(request: web.Request) -> bool:
    """Return whether nothing is to be published. Raises BadParameter."""
    query = {name: request.query.getall(name) for name in request.query}
    check_query(query, [DRY_RUN])
    return single(query, DRY_RUN.name) == "1"


def refused_body(bad: Sequence[BadItem], refused: int) -> web.Response:
    """Return the answer to a body of which a part would not count: 422 with the first hundred. Pure."""
    error = {"code": "bad_items", "message": f"{refused} parts would not count; nothing was published"}
    return json_response(
        {"error": error, "bad": [structs.asdict(one) for one in bad], "refused": refused}, status=422
    )
