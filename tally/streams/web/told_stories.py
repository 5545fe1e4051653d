"""Stories told from Postgres and the raw topics, a few at once: they hold up no number."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol

import structlog
from aiokafka.errors import KafkaError
from msgspec import Struct

from tally.agents.route.pieces import Event, is_long
from tally.agents.view.freshness import Freshness
from tally.agents.view.receipt import Receipt
from tally.agents.view.story import (
    Counted,
    Story,
    Told,
    call_names,
    counts_of,
    further,
    read_at,
    story_of,
    told_by,
)
from tally.schemas.conventions import Conventions
from tally.schemas.fields import phone_identifier
from tally.schemas.keys import join_parts
from tally.schemas.places import RecordPlace, place_number, place_of
from tally.schemas.tables import CODES
from tally.tables.kafka.raw_records import Gone, Held, Span
from tally.tables.pieces import give_way, in_pieces
from tally.tables.postgres.line_records import subject_digest
from tally.tables.postgres.moment import Asking, MomentReader, Records
from tally.tables.postgres.moment import Held as HeldMoment
from tally.tables.postgres.subjects import of_subjects
from tally.tables.rules import Rules

AT_ONCE = 2
WAIT_SECONDS = 1.0
MOST_RECORDS = 200
"""Of a story's raw records no more are read; then only of those that it shows."""
MOST_BETWEEN = 20_000
"""Packets of one partition from a call's first to its last; of more only those that lines name are read."""
MOST_FURTHER = 500
"""Of these so many are told, the first by time."""
ROUNDS = 3
"""So often is looked for packets that name channels which only others named."""
AMI_EVENTS = "ami-events"
ATTEMPTS = "recipients"
"""The table of the send results of attempts."""

log = structlog.get_logger()


class RawReader(Protocol):
    """Reads raw topics. Both raise TimeoutError, KafkaError."""

    async def at(self, places: Collection[RecordPlace], /) -> Mapping[RecordPlace, Held | Gone]:
        """Return what lies at each place."""

    async def between(self, span: Span, names: Collection[bytes], /) -> Mapping[RecordPlace, Held]:
        """Return the records of a span that hold any of these names."""


class Busy(Exception):
    """As many stories are told as may be told at once."""


class Found(Struct, frozen=True):
    """All that is stored of a subject, and of the send results of its attempts."""

    own: Records
    """Its lines, of any tenant."""
    results: Records
    """Those of the contacts that its lines of this tenant name."""

    @property
    def is_of_call(self) -> bool:
        """Whether it is a call."""
        return any(one["family"] == "calls" for one in self.own)

    def seen_by(self, tenant: str) -> list[Any]:
        """Return the lines that a tenant may see: its own, and of its contacts the attempts of those."""
        own = [one for one in self.own if one["tenant"] == tenant]
        attempts = {_attempt(one) for one in own}
        return own + [one for one in self.results if _attempt(one) in attempts]


class Telling(Struct, frozen=True):
    """A story with what it was told from."""

    receipt: Receipt
    lines: Sequence[Any]
    """Those that the tenant may see."""
    told: Sequence[Told]
    """The facts that the tenant may see, in order."""
    records: Mapping[int, Held | Gone] | None
    """By place; None while the brokers do not answer."""
    story: Story
    is_explained: bool
    """Whether the records alone give all that is stored."""


class Stories:
    """Tells stories, at most `AT_ONCE`, from connections of their own."""

    def __init__(
        self,
        postgres: MomentReader,
        freshness: Freshness,
        raw: RawReader,
        rules: Rules,
        conventions: Callable[[], Conventions],
        partitions: int,
    ) -> None:
        self._postgres = postgres
        self._freshness = freshness
        self._raw = raw
        self._rules = rules
        self._conventions = conventions
        self._partitions = partitions
        self._room = asyncio.Semaphore(AT_ONCE)

    def first_number(self, number: str) -> str:
        """Return the id that a business number had first, by which it is counted."""
        return self._conventions().numbers.first_id(number)

    async def tell(self, tenant: str, subjects: Collection[bytes]) -> Telling | None:
        """Tell the story of a subject by the digests that it may have; None where a tenant has no line of it.

        Raises Busy, and PostgresFailure.
        """
        async with self._entered():
            found, receipt = await self._postgres.ask(
                tenant, lambda held: self._asking(held, tenant, subjects)
            )
            lines = found.seen_by(tenant)
            if not lines:
                return None
            shown, told = told_by(_events(lines)), told_by(_events([*found.own, *found.results]))
            records = await self._read((told if len(told) <= MOST_RECORDS else shown)[:MOST_RECORDS])
            events = await self._read_facts({} if records is None else records)
            everything = (*found.own, *found.results)
            digests = {name for one in everything for name in names_of(one)}
            if records is not None and found.is_of_call:
                held, also = await self._read_further(events, digests)
                shown, told = sorted([*shown, *also]), sorted([*told, *also])
                records = {**held, **records}
                events = await self._read_facts({one.place: held[one.place] for one in also}) | events
            story = await in_pieces(story_of(told, events, digests, self._rules))
        is_explained = len(story.changes) == len(told) and story.lines == counted(everything)
        return Telling(receipt, lines, shown, records, story, is_explained)

    @asynccontextmanager
    async def _entered(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._room.acquire()
        except TimeoutError:
            raise Busy from None
        try:
            yield
        finally:
            self._room.release()

    def _asking(
        self, held: HeldMoment, tenant: str, subjects: Collection[bytes]
    ) -> Asking[tuple[Found, Receipt]]:
        own = yield of_subjects(self._partitions, subjects)
        results: Records = []
        if contacts := _contacts(own, tenant):
            results = yield of_subjects(self._partitions, contacts)
        return Found(own, results), self._freshness.written_receipt(held, tenant, None)

    async def _read(self, told: Sequence[Told]) -> Mapping[int, Held | Gone] | None:
        places = {place: lies for one in told if (lies := place_of(place := one.place)) is not None}
        try:
            found = await self._raw.at(list(places.values()))
        except (TimeoutError, KafkaError) as error:
            log.warning("raw topics do not answer", error=type(error).__name__)
            return None
        return {place: found[lies] for place, lies in places.items() if lies in found}

    async def _read_further(
        self, events: Mapping[int, Event], digests: Collection[bytes]
    ) -> tuple[dict[int, Held], list[Told]]:
        """Return what else lies between a call's first and last packet, and which of it tells of the call.

        A packet is found by the ids of the call's channels; those that it names lead to others.
        """
        held: dict[int, Held] = {}
        also: list[Told] = []
        span, names, wider = span_of(events), set[bytes](), call_names(events.values())
        for _ in range(ROUNDS):
            if span is None or wider <= names:
                break
            names |= wider
            held = await self._read_between(span, names)
            more = await self._read_facts(held)
            also = further(events, more, digests)[:MOST_FURTHER]
            wider = call_names(more[one.place] for one in also)
        return held, also

    async def _read_between(self, span: Span, names: Collection[bytes]) -> dict[int, Held]:
        try:
            found = await self._raw.between(span, names)
        except (TimeoutError, KafkaError) as error:
            log.warning("raw topics do not answer", error=type(error).__name__)
            return {}
        return {place_number(*place): held for place, held in found.items()}

    async def _read_facts(self, records: Mapping[int, Held | Gone]) -> dict[int, Event]:
        """Return what the records that are there say; a long one is read in a thread, as route does."""
        events, conventions = {}, self._conventions()
        for place, one in records.items():
            if isinstance(one, Held):
                long = is_long(one.record)
                read = partial(read_at, place, one.record, conventions)
                events[place] = await asyncio.to_thread(read) if long else read()
                await give_way()
        return events


def counted(lines: Iterable[Any]) -> list[Counted]:
    """Return what stored lines count, in order."""
    return sorted(
        Counted.of(one["family"], one["line"], counts_of(one["counters"], one["counts"])) for one in lines
    )


def span_of(events: Iterable[int]) -> Span | None:
    """Return from which packet to which a call goes, by the places of its events; None if that is too far."""
    lies = [one for place in events if (one := place_of(place)) is not None and one.topic == AMI_EVENTS]
    if not lies or len({one.partition for one in lies}) > 1:
        return None
    offsets = [one.offset for one in lies]
    span = Span(AMI_EVENTS, lies[0].partition, min(offsets), max(offsets))
    return span if span.last - span.first <= MOST_BETWEEN else None


def names_of(one: Any) -> set[bytes]:
    """Return the digests by which facts name a line's subject: its own, and that of a customer's phone."""
    if one["family"] != "customers" or not one["phone"]:
        return {one["subject"]}
    phone = join_parts(one["number"]) + b"/" + phone_identifier(one["phone"])
    return {one["subject"], subject_digest(CODES["customers"], phone)}


def _contacts(own: Records, tenant: str) -> set[bytes]:
    """Return the subjects of the contacts to whom a tenant's messages or calls went; a customer has none."""
    return {
        subject_digest(CODES[ATTEMPTS], join_parts(tenant, one["campaign"], one["contact"]))
        for one in own
        if one["tenant"] == tenant and one["contact"] and one["family"] in ("messages", "calls")
    }


def _attempt(one: Any) -> tuple[str, str, str, str]:
    return one["tenant"], one["campaign"], one["contact"], one["attempt"]


def _events(lines: Sequence[Any]) -> list[tuple[str, int, int]]:
    """Return kind, time and place of all events of lines."""
    found = [
        (kind, at_ms, place)
        for one in lines
        for kind, at_ms, place in zip(one["kinds"], one["kinds_at_ms"], one["places"], strict=True)
    ]
    return list(dict.fromkeys(found))
