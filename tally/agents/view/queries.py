"""Queries of the read API and `/metrics`: answers and receipts of one moment, from the view and the lag."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from itertools import islice, takewhile
from typing import NamedTuple, TypeVar

import orjson
from msgspec import Struct, structs

from tally.agents.clock import unix_ms
from tally.agents.compute_gate import ComputeGate
from tally.agents.view.answer import (
    Json,
    OfTemplate,
    answering,
    campaign_summary,
    failing,
    may_change_until,
    rfc_3339,
    shaped,
    smallest,
    template_answers,
)
from tally.agents.view.campaign import Campaign, Look, Slots, SlotsByTemplate
from tally.agents.view.freshness import Freshness
from tally.agents.view.kept_answers import AnswerKey, KeptAnswers
from tally.agents.view.model import View
from tally.agents.view.number_pace import NumberPaces
from tally.agents.view.operator_rows import Operator, Shown
from tally.agents.view.operators import show
from tally.agents.view.pace import LONG_SECONDS, SHORT_SECONDS, Paces, progress_of
from tally.agents.view.packed_rows import decode_packed
from tally.agents.view.queues import QueuesPage, queue_answers
from tally.agents.view.receipt import Receipt
from tally.agents.view.recent import Rank
from tally.schemas.bounds import OPERATORS_SHOWN, QUEUES_SHOWN, TEMPLATES_SHOWN
from tally.schemas.counters import channels_named, numbers_of
from tally.schemas.keys import Template
from tally.schemas.numbers import NO_NUMBERS, Numbers
from tally.schemas.rows import decode_outline
from tally.tables.pieces import Steps, in_pieces
from tally.tables.postgres.failures import Refused
from tally.tables.postgres.moment import Held, MomentReader, Query, Records

T = TypeVar("T")

WATCHED = 2_000
"""Campaigns whose last look is kept: their entry in a list then needs only the rows that have changed."""

YIELDS_BETWEEN = 1
"""Rounds of the event loop between two pieces: reads have the same priority as counting."""
LONG_ROWS = 5_000
LONG_AT_ONCE = 4
"""At most so many answers of more than `LONG_ROWS` rows are in progress: each holds its rows in memory."""

NONE: frozenset[str] = frozenset()


class CampaignShown(NamedTuple):
    """A campaign's entry in an answer, and the version of the rows that it shows."""

    version: bytes
    entry: bytes


class OperatorsPage(Struct, frozen=True):
    """A page of operators, and the operator after which the next page begins."""

    shown: list[tuple[Template, bytes]]
    """(PBX, interface) and entry of each."""
    following: Template | None

    @property
    def entries(self) -> bytes:
        """The entries as a JSON array."""
        return b"[" + b",".join(entry for _, entry in self.shown) + b"]"


class TemplatesPage(Struct, frozen=True):
    """A page of a campaign's templates, and the template after which the next page begins."""

    version: bytes
    """Of the campaign's rows."""
    shown: list[Json]
    following: Template | None


class Queries:
    """Answers from the memory view; a receipt and what is read before the next await are of one moment."""

    def __init__(
        self,
        view: View,
        freshness: Freshness,
        monotonic: Callable[[], float],
        now_ms: Callable[[], int] = unix_ms,
        postgres: MomentReader | None = None,
    ) -> None:
        self.view = view
        self.freshness = freshness
        self.numbers: Numbers = NO_NUMBERS
        """What is said of business numbers; replaced when it changes."""
        self.number_paces = NumberPaces()
        self._monotonic = monotonic
        self._now_ms = now_ms
        self._postgres = postgres
        self._gate = ComputeGate(YIELDS_BETWEEN)
        self._answers = KeptAnswers()
        self._paces = Paces()
        self._watched: OrderedDict[tuple[str, str], Campaign] = OrderedDict()
        self._long = asyncio.Semaphore(LONG_AT_ONCE)

    async def stored(
        self, tenant: str, campaign: str, queries: Callable[[Receipt], Sequence[Query]]
    ) -> tuple[Receipt, list[Records]]:
        """Return what queries find in Postgres at one moment, and its receipt. Raises PostgresFailure.

        `campaign` is empty where all of the tenant's are asked for.
        """
        if self._postgres is None:
            raise Refused("connection", "", "this process reads nothing from Postgres")
        receipts: list[Receipt] = []

        def at(held: Held) -> Sequence[Query]:
            receipts.append(self.freshness.written_receipt(held, tenant, campaign or None))
            return queries(receipts[0])

        found = await self._postgres.read(tenant, campaign, at)
        return receipts[0], found

    def campaign(self, tenant: str, campaign: str) -> Campaign | None:
        """Return a campaign that counts something, or None."""
        return self.view.find(tenant, campaign)

    async def in_pieces(self, steps: Steps[T]) -> T:
        """Run a computation in pieces; between them other answers take turns and all other tasks run."""
        return await in_pieces(steps, self._gate.enter)

    async def version(self, campaign: Campaign) -> bytes:
        """Return the version of a campaign's rows, of a moment after this call began."""
        self._watch(campaign)
        async with self._bounded(campaign.size):
            return (await self.in_pieces(campaign.looking(with_totals=False))).version

    def kept(self, campaign: Campaign, version: bytes) -> bytes | None:
        """Return the kept answer of a version, or None."""
        return self._answers.get(_answer_key(campaign, version))

    async def answer(self, campaign: Campaign) -> CampaignShown:
        """Return all numbers of a campaign as a JSON object, of a moment after this call began."""
        async with self._bounded(campaign.size):
            version, entry = await self.in_pieces(_answer(campaign))
        self._answers.keep(_answer_key(campaign, version), entry)
        return CampaignShown(version, entry)

    async def summaries(self, campaigns: Sequence[Campaign]) -> list[CampaignShown]:
        """Return the entries of campaigns in a list; each is made once for each version of its rows."""
        async with self._bounded(sum(campaign.size for campaign in campaigns)):
            return await self.in_pieces(self._summaries(campaigns))

    def _summaries(self, campaigns: Sequence[Campaign]) -> Steps[list[CampaignShown]]:
        shown = []
        for campaign in campaigns:
            self._watch(campaign)
            if campaign.is_too_wide:  # a row's span has become shorter since the page was made
                yield from campaign.narrowing()
            look = yield from campaign.looking(with_totals=True)
            first_ms, last_ms = campaign.first_ms, campaign.last_ms
            # While another call recomputes the span it may be too long for these rows, so the version has it.
            version = b"%b %d %d" % (look.version, first_ms, last_ms)
            if campaign.summary is None or campaign.summary[0] != version:
                summary = campaign_summary(look.totals, first_ms, last_ms)
                campaign.summary = version, orjson.dumps({"campaign": campaign.campaign, **summary})
            shown.append(CampaignShown(version, campaign.summary[1]))
            yield
        return shown

    async def progress(self, campaign: Campaign) -> Json:
        """Return where a campaign stands, and how fast it went since this was first asked, at most a minute.

        Rates are None at the first look. They are of this process, so that no other answer has them.
        """
        (shown,) = await self.summaries([campaign])
        entry = orjson.loads(shown.entry)
        found = progress_of(entry)
        pace = self._paces.saw(campaign.tenant, campaign.campaign, self._monotonic(), found.done)
        return {
            **structs.asdict(found),
            "left": found.left,
            "per_second_10s": pace.per_second(SHORT_SECONDS),
            "per_second_1m": pace.per_second(LONG_SECONDS),
            "elapsed_seconds": (campaign.last_ms - campaign.first_ms) / 1000,
            "left_seconds": pace.seconds_left(found.left),
            "first_activity": rfc_3339(campaign.first_ms),
            "last_activity": rfc_3339(campaign.last_ms),
            "may_change_until": may_change_until(entry["channel"], campaign.last_ms),
        }

    async def is_failing(self, campaign: Campaign) -> bool:
        """Whether the share of a campaign's sends that failed is surely too high."""
        self._watch(campaign)
        async with self._bounded(campaign.size):
            look = await self.in_pieces(campaign.looking(with_totals=True))
        return failing(look.totals.counts).is_high

    def page(
        self, tenant: str, after: Rank | None, since_ms: int, ids: frozenset[str], limit: int
    ) -> Steps[tuple[list[Campaign], Rank | None]]:
        """Return a page of a tenant's campaigns, newest activity first, and where the next one begins.

        A campaign that becomes active between two requests moves to the first page.
        """
        yield from self.view.narrowing(tenant)
        campaigns = self._chosen(tenant, ids, after) if ids else self.view.recent(tenant, after)
        active = takewhile(lambda campaign: campaign.last_ms >= since_ms, campaigns)
        found = list(islice(active, limit + 1))
        return found[:limit], _place(found[limit - 1]) if len(found) > limit else None

    def operators(
        self,
        tenant: str,
        pbxs: frozenset[str] = NONE,
        states: frozenset[str] = NONE,
        after: Template | None = None,
        limit: int = OPERATORS_SHOWN.most,
    ) -> Steps[OperatorsPage]:
        """Return a page of a tenant's operators, now, by PBX and interface; an empty set filters nothing."""
        now_ms, operators = self._now_ms(), self.view.operators
        names = [name for name in operators.names(tenant) if not pbxs or name.name in pbxs]
        found: list[tuple[Template, bytes]] = []
        last = after
        while True:
            following = (name for name in names if last is None or name > last)
            chosen, count = yield from smallest(following, limit)
            for name in chosen:
                operator = operators.one(tenant, name)
                shown = None if operator is None else _shown(operator, now_ms)
                if shown is not None and (not states or shown.state in states):
                    if len(found) == limit:
                        return OperatorsPage(found, last)
                    found.append((name, shown.entry))
                last = name
                yield
            if count <= len(chosen):
                return OperatorsPage(found, None)

    def queues(
        self,
        tenant: str,
        thresholds: Sequence[int],
        after: str | None = None,
        limit: int = QUEUES_SHOWN.most,
    ) -> Steps[QueuesPage]:
        """Return a page of a tenant's queues, by name; `thresholds` of service levels are in seconds."""
        counts: dict[str, dict[str, int]] = {name: {} for name in ("queues", "queue_waits")}
        for campaign in list(self.view.recent(tenant)):
            self._watch(campaign)
            look = yield from campaign.looking(with_totals=True)
            if campaign.queues is None or campaign.queues[0] != look.version:
                campaign.queues = look.version, shaped(look.totals.counts, tuple(counts))
            for name, entries in campaign.queues[1].items():
                for entry, number in entries.items():
                    counts[name][entry] = counts[name].get(entry, 0) + number
        now = list(self.view.waiting.of(tenant))
        return (
            yield from queue_answers(
                counts["queues"], counts["queue_waits"], now, thresholds, self._now_ms(), after, limit
            )
        )

    async def templates(
        self, campaign: Campaign, after: Template | None = None, limit: int = TEMPLATES_SHOWN.most
    ) -> TemplatesPage:
        """Return a page of a campaign's templates, by name and language."""
        self._watch(campaign)
        async with self._bounded(campaign.size):
            return await self.in_pieces(_templates(campaign, after, limit))

    def _watch(self, campaign: Campaign) -> None:
        """Keep the looks at a campaign, and evict the campaign that was requested longest ago."""
        scope = (campaign.tenant, campaign.campaign)
        self._watched[scope] = campaign
        self._watched.move_to_end(scope)
        if len(self._watched) > WATCHED:
            self._watched.popitem(last=False)[1].forget()

    def _bounded(self, rows: int) -> AbstractAsyncContextManager[object]:
        return self._long if rows > LONG_ROWS else nullcontext()

    def _chosen(self, tenant: str, ids: Iterable[str], after: Rank | None) -> list[Campaign]:
        found = [campaign for name in ids if (campaign := self.view.find(tenant, name))]
        return sorted((c for c in found if after is None or _place(c) > after), key=_place)


def _answer(campaign: Campaign) -> Steps[tuple[bytes, bytes]]:
    """Return the version of a campaign's rows and the answer made from them."""
    slots_by_template, digest = campaign.slots_by_template(), campaign.digest
    are_filled = campaign.filled == campaign.size
    if digest is None:
        digest = yield from campaign.digesting(slots_by_template)
    filled = (template for template, slots in slots_by_template if are_filled or _is_filled(slots))
    answer = yield from answering(filter(None, filled), _rows(slots_by_template))
    named = {"tenant": campaign.tenant, "campaign": campaign.campaign}
    return Look(digest).version, orjson.dumps(named | answer)


def _templates(campaign: Campaign, after: Template | None, limit: int) -> Steps[TemplatesPage]:
    look = yield from campaign.looking(with_totals=True)
    channels = channels_named(channel for channel, rows in look.totals.channels.items() if rows)
    slots_by_template = campaign.slots_by_template()
    behind = (
        template
        for template, slots in slots_by_template
        if template is not None and (after is None or template > after) and _is_filled(slots)
    )
    chosen, count = yield from smallest(behind, limit)
    rows = _rows([(template, campaign.slots.get(template, ())) for template in chosen])
    shown = yield from template_answers(chosen, rows, numbers_of(channels))
    return TemplatesPage(look.version, shown, chosen[-1] if count > len(chosen) else None)


def _is_filled(slots: Slots) -> bool:
    return any(decode_outline(value).is_filled for _, value in slots)


def _rows(slots_by_template: SlotsByTemplate) -> Iterator[OfTemplate]:
    return ((template, [decode_packed(value) for _, value in slots]) for template, slots in slots_by_template)


def _answer_key(campaign: Campaign, version: bytes) -> AnswerKey:
    return AnswerKey(campaign.tenant, campaign.campaign, version)


def _shown(operator: Operator, now_ms: int) -> Shown:
    """Return an operator's entry; it is made again once a row changes or the clock ends a wrap-up."""
    kept = operator.shown
    if kept is None or not kept.from_ms <= now_ms < kept.until_ms:
        kept = operator.shown = show(operator, now_ms)
    return kept


def _place(campaign: Campaign) -> Rank:
    return Rank(-campaign.last_ms, campaign.campaign)
