"""What the edges ask: answers and receipts of one moment, from the view and the lag."""

import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from itertools import islice, takewhile

import orjson

from tally.agents.lag.tracker import LagTracker
from tally.agents.view.answer import Json, campaign_answer, campaign_summary
from tally.agents.view.campaign import Campaign
from tally.agents.view.model import View
from tally.agents.view.operator_rows import Operator, Shown
from tally.agents.view.operators import show
from tally.agents.view.receipt import Receipt, write_receipt
from tally.agents.view.recent import Place

TAG_BYTES = 12
KEPT_ANSWERS = 256
"""Answers that are kept while their rows stay as they are: many people watch few campaigns."""

NONE: frozenset[str] = frozenset()


def unix_ms() -> int:
    """Return the time of the wall clock, by which wrap-ups end."""
    return time.time_ns() // 1_000_000


class Reader:
    """Answers from the memory view. A receipt and what is read before the next await are of one moment."""

    def __init__(
        self,
        view: View,
        lag: LagTracker,
        generation: int,
        monotonic: Callable[[], float],
        live_lag_seconds: float = 2.0,
        now_ms: Callable[[], int] = unix_ms,
    ) -> None:
        self.view = view
        self._lag = lag
        self._generation = generation
        self._monotonic = monotonic
        self._live_lag_ms = round(live_lag_seconds * 1000)
        self._now_ms = now_ms
        self._answer = lru_cache(KEPT_ANSWERS)(self._make_answer)

    def receipt(self) -> Receipt:
        """Return the receipt of what the view holds now."""
        progress = {partition: self.view.next_offset(partition) for partition in range(self.view.partitions)}
        as_of = self._lag.as_of(progress)
        return write_receipt(self.view, self._generation, as_of, self._monotonic(), self._live_lag_ms)

    def lag_seconds(self) -> float | None:
        """Return the age of the latest moment that is known to be counted."""
        lag_ms = self.receipt().lag_ms
        return None if lag_ms is None else lag_ms / 1000

    def campaign(self, tenant: str, campaign: str) -> Campaign | None:
        """Return a campaign of which something is counted."""
        return self.view.find(tenant, campaign)

    def answer(self, campaign: Campaign) -> Json:
        """Return all numbers of a campaign; shared with later callers, so not to be changed."""
        return self._answer(campaign.tenant, campaign.campaign, campaign.version)

    def summary(self, campaign: Campaign) -> orjson.Fragment:
        """Return a campaign's entry in a list, made once for each state of its rows."""
        if campaign.summary is None:
            summary = campaign_summary(campaign.rows(), campaign.first_ms, campaign.last_ms)
            campaign.summary = orjson.dumps({"campaign": campaign.campaign, **summary})
        return orjson.Fragment(campaign.summary)

    def page(
        self, tenant: str, after: Place | None, since_ms: int, ids: frozenset[str], limit: int
    ) -> tuple[list[Campaign], Place | None]:
        """Return a page of a tenant's campaigns, newest activity first, and where the next one begins.

        A campaign that becomes active between two pages moves before them: it is on the first page then.
        """
        campaigns = self._chosen(tenant, ids, after) if ids else self.view.recent(tenant, after)
        active = takewhile(lambda campaign: campaign.last_ms >= since_ms, campaigns)
        found = list(islice(active, limit + 1))
        return found[:limit], _place(found[limit - 1]) if len(found) > limit else None

    def operators(self, tenant: str, pbxs: frozenset[str] = NONE, states: frozenset[str] = NONE) -> bytes:
        """Return a tenant's operators at this moment, by PBX and interface, as JSON; an empty set is all."""
        now_ms = self._now_ms()
        chosen = [one for one in self.view.operators(tenant) if not pbxs or one.pbx in pbxs]
        chosen.sort(key=lambda operator: (operator.pbx, operator.interface))
        shown = [_shown(operator, now_ms) for operator in chosen]
        return b"[" + b",".join(one.entry for one in shown if not states or one.state in states) + b"]"

    def _make_answer(self, tenant: str, campaign: str, _version: bytes) -> Json:
        rows = self.view.campaign(tenant, campaign)
        return {"tenant": tenant, "campaign": campaign, **campaign_answer(rows)}

    def _chosen(self, tenant: str, ids: Iterable[str], after: Place | None) -> list[Campaign]:
        found = [campaign for name in ids if (campaign := self.view.find(tenant, name))]
        return sorted((c for c in found if after is None or _place(c) > after), key=_place)


def entity_tag(receipt: Receipt, campaigns: Iterable[Campaign], *more: object) -> str:
    """Return the tag of an answer: the same in every worker that holds the same rows in the same state."""
    digest = blake2b(repr((receipt.generation, receipt.state, receipt.incomplete, more)).encode())
    for campaign in campaigns:
        digest.update(repr(campaign.campaign).encode() + campaign.version)
    return digest.hexdigest()[: 2 * TAG_BYTES]


def _shown(operator: Operator, now_ms: int) -> Shown:
    """Return an operator's entry, made once for each state of its rows and for what ends by the clock."""
    kept = operator.shown
    if kept is None or not kept.from_ms <= now_ms < kept.until_ms:
        kept = operator.shown = show(operator, now_ms)
    return kept


def _place(campaign: Campaign) -> Place:
    return Place(-campaign.last_ms, campaign.campaign)
