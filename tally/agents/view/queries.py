"""Queries of the read API and `/metrics`: answers from the view and Postgres, made in turns with all else."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeVar

import orjson

from tally.agents.clock import unix_ms
from tally.agents.compute_gate import ComputeGate
from tally.agents.view.answer import Json, failing
from tally.agents.view.campaign import Campaign, CampaignShown
from tally.agents.view.campaign_answers import (
    TemplatesPage,
    progress_answer,
    summary,
    templates_page,
    whole_answer,
)
from tally.agents.view.campaigns_page import CampaignsPage, CampaignsQuery, campaigns_page
from tally.agents.view.freshness import Freshness
from tally.agents.view.kept_answers import AnswerKey, KeptAnswers
from tally.agents.view.model import View
from tally.agents.view.number_pace import NumberPaces
from tally.agents.view.operators_page import OperatorsPage, OperatorsQuery, operators_page
from tally.agents.view.pace import Paces, progress_of
from tally.agents.view.queues import COUNTERS_OF_QUEUES, QueuesPage, QueuesQuery, queue_counts, queues_page
from tally.agents.view.receipt import Receipt
from tally.schemas.bounds import TEMPLATES_SHOWN
from tally.schemas.keys import Template
from tally.schemas.numbers import NO_NUMBERS, Numbers
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

    async def in_pieces(self, steps: Steps[T]) -> T:
        """Run a computation in pieces; between them other answers take turns and all other tasks run."""
        return await in_pieces(steps, self._gate.enter)

    def campaign(self, tenant: str, campaign: str) -> Campaign | None:
        """Return a campaign that counts something, or None."""
        return self.view.find(tenant, campaign)

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
            shown = await self.in_pieces(whole_answer(campaign))
        self._answers.keep(_answer_key(campaign, shown.version), shown.entry)
        return shown

    async def summaries(self, campaigns: Sequence[Campaign]) -> list[CampaignShown]:
        """Return the entries of campaigns in a list; each is made once for each version of its rows."""
        async with self._bounded(sum(campaign.size for campaign in campaigns)):
            return await self.in_pieces(self._summaries(campaigns))

    def _summaries(self, campaigns: Sequence[Campaign]) -> Steps[list[CampaignShown]]:
        shown = []
        for campaign in campaigns:
            self._watch(campaign)
            shown.append((yield from summary(campaign)))
            yield
        return shown

    async def progress(self, campaign: Campaign) -> Json:
        """Return where a campaign stands, and how fast it went since this was first asked, at most a minute.

        Rates are None at the first look. They are of this process, so that no other answer has them.
        """
        (shown,) = await self.summaries([campaign])
        entry = orjson.loads(shown.entry)
        progress = progress_of(entry)
        pace = self._paces.saw(campaign.tenant, campaign.campaign, self._monotonic(), progress.done)
        return progress_answer(campaign, progress, entry["channel"], pace)

    async def is_failing(self, campaign: Campaign) -> bool:
        """Whether the share of a campaign's sends that failed is surely too high."""
        self._watch(campaign)
        async with self._bounded(campaign.size):
            look = await self.in_pieces(campaign.looking(with_totals=True))
        return failing(look.totals.counts).is_high

    async def templates(
        self, campaign: Campaign, after: Template | None = None, limit: int = TEMPLATES_SHOWN.most
    ) -> TemplatesPage:
        """Return a page of a campaign's templates, by name and language."""
        self._watch(campaign)
        async with self._bounded(campaign.size):
            return await self.in_pieces(templates_page(campaign, after, limit))

    async def campaigns(self, tenant: str, query: CampaignsQuery) -> CampaignsPage:
        """Return a page of a tenant's campaigns, newest activity first."""
        return await self.in_pieces(campaigns_page(self.view, tenant, query))

    async def operators(self, tenant: str, query: OperatorsQuery) -> OperatorsPage:
        """Return a page of a tenant's operators, now, by PBX and interface."""
        return await self.in_pieces(operators_page(self.view.operators, tenant, query, self._now_ms()))

    async def queues(self, tenant: str, query: QueuesQuery) -> QueuesPage:
        """Return a page of a tenant's queues, now, by name."""
        return await self.in_pieces(self._queues(tenant, query))

    def _queues(self, tenant: str, query: QueuesQuery) -> Steps[QueuesPage]:
        counts: dict[str, dict[str, int]] = {name: {} for name in COUNTERS_OF_QUEUES}
        for campaign in list(self.view.recent(tenant)):
            self._watch(campaign)
            for name, entries in (yield from queue_counts(campaign)).items():
                for entry, number in entries.items():
                    counts[name][entry] = counts[name].get(entry, 0) + number
        now = list(self.view.waiting.of(tenant))
        return (yield from queues_page(counts, now, query, self._now_ms()))

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

    def _watch(self, campaign: Campaign) -> None:
        """Keep the looks at a campaign, and evict the campaign that was requested longest ago."""
        scope = (campaign.tenant, campaign.campaign)
        self._watched[scope] = campaign
        self._watched.move_to_end(scope)
        if len(self._watched) > WATCHED:
            self._watched.popitem(last=False)[1].forget()

    def _bounded(self, rows: int) -> AbstractAsyncContextManager[object]:
        return self._long if rows > LONG_ROWS else nullcontext()


def _answer_key(campaign: Campaign, version: bytes) -> AnswerKey:
    return AnswerKey(campaign.tenant, campaign.campaign, version)
