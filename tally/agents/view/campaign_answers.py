"""Answers on one campaign, made in steps: all its numbers, its entry in lists, templates, where it stands."""

from collections.abc import Iterator

import orjson
from msgspec import Struct, structs

from tally.agents.view.answer import (
    Json,
    OfTemplate,
    answering,
    campaign_summary,
    may_change_until,
    rfc_3339,
    smallest,
    template_answers,
)
from tally.agents.view.campaign import Campaign, CampaignShown, Look, Slots, SlotsByTemplate
from tally.agents.view.pace import LONG_SECONDS, SHORT_SECONDS, Pace, Progress
from tally.agents.view.packed_rows import decode_packed
from tally.schemas.counters import channels_named, numbers_of
from tally.schemas.keys import Template
from tally.schemas.rows import decode_outline
from tally.tables.pieces import Steps


class TemplatesPage(Struct, frozen=True):
    """A page of a campaign's templates, and the template after which the next page begins."""

    version: bytes
    """Of the campaign's rows."""
    shown: list[Json]
    following: Template | None


def whole_answer(campaign: Campaign) -> Steps[CampaignShown]:
    """Return all numbers of a campaign as a JSON object, of the moment in which this begins."""
    slots_by_template, digest = campaign.slots_by_template(), campaign.digest
    are_filled = campaign.filled == campaign.size
    if digest is None:
        digest = yield from campaign.digesting(slots_by_template)
    filled = (template for template, slots in slots_by_template if are_filled or _is_filled(slots))
    answer = yield from answering(filter(None, filled), _rows(slots_by_template))
    named = {"tenant": campaign.tenant, "campaign": campaign.campaign}
    return CampaignShown(Look(digest).version, orjson.dumps(named | answer))


def summary(campaign: Campaign) -> Steps[CampaignShown]:
    """Return a campaign's entry in a list; it is made once for each version of its rows."""
    if campaign.is_too_wide:  # a row's span has become shorter since the page was made
        yield from campaign.narrowing()
    look = yield from campaign.looking(with_totals=True)
    first_ms, last_ms = campaign.first_ms, campaign.last_ms
    # While another call recomputes the span it may be too long for these rows, so the version has it.
    version = b"%b %d %d" % (look.version, first_ms, last_ms)
    shown = campaign.summary
    if shown is None or shown.version != version:
        entry = {"campaign": campaign.campaign, **campaign_summary(look.totals, first_ms, last_ms)}
        shown = campaign.summary = CampaignShown(version, orjson.dumps(entry))
    return shown


def progress_answer(campaign: Campaign, progress: Progress, channel: str, pace: Pace) -> Json:
    """Return where a campaign stands and how fast it goes; rates are None at the first look."""
    return {
        **structs.asdict(progress),
        "left": progress.left,
        "per_second_10s": pace.per_second(SHORT_SECONDS),
        "per_second_1m": pace.per_second(LONG_SECONDS),
        "elapsed_seconds": (campaign.last_ms - campaign.first_ms) / 1000,
        "left_seconds": pace.seconds_left(progress.left),
        "first_activity": rfc_3339(campaign.first_ms),
        "last_activity": rfc_3339(campaign.last_ms),
        "may_change_until": may_change_until(channel, campaign.last_ms),
    }


def templates_page(campaign: Campaign, after: Template | None, limit: int) -> Steps[TemplatesPage]:
    """Return a page of a campaign's templates, by name and language."""
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
