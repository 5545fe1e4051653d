"""Answers of the read API: JSON objects made from the rows of a campaign. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import structs

from tally.agents.view.packed_rows import PackedRow
from tally.agents.view.sums import Counts, Sums, Totals, adding_up, flat
from tally.schemas.bounds import TEMPLATES_SHOWN
from tally.schemas.confidence import FailureShare, failure_share
from tally.schemas.counters import (
    BY_NAME,
    DERIVED_BY_NAME,
    DISTRIBUTIONS,
    MAPS,
    RATES,
    adds_up,
    channel_of,
    channels_named,
    numbers_of,
)
from tally.schemas.descriptions import read_description
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import Row
from tally.tables.durations import Summary, summarise
from tally.tables.pieces import Steps, at_once

Json = dict[str, Any]
OfTemplate = tuple[Template | None, Iterable[Row | PackedRow]]
"""Rows of one template; None stands for the campaign's own row. One template may come in several parts."""

DIGITS = 4
"""Decimal digits that rates are rounded to."""

LATEST_NEWS_MS = (30 + 7) * 86_400_000
"""How long after the last activity of a WhatsApp campaign its numbers may change: Meta tries for 30 days to
deliver a message, and for 7 days to deliver a webhook."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def campaign_answer(rows: Sequence[tuple[int, RowKey, Row]]) -> Json:
    """Return channel, description, totals, rates and templates of a campaign."""
    filled = {key.template for _, key, row in rows if row.counts and key.template is not None}
    return at_once(answering(filled, ((key.template, (row,)) for _, key, row in rows)))


def answering(filled: Iterable[Template], rows: Iterable[OfTemplate]) -> Steps[Json]:
    """Make a campaign's answer from its rows; `filled` are the templates that count anything.

    The answer shows the smallest templates by name and language, and sums the others into one entry. That
    entry has only counters that add up: no row holds how many distinct customers the others share.
    """
    chosen, count = yield from smallest(filled, TEMPLATES_SHOWN.most)
    sums = Sums(chosen)
    for template, its_rows in rows:
        sums.add(template, its_rows)
        yield
    channels = channels_named(sums.channels)
    names = numbers_of(channels)
    counts = sums.totals()
    totals = shaped(counts, names)
    templates = yield from _template_answers(chosen, sums, names)
    answer = {
        "channel": channel_of(channels),
        **structs.asdict(read_description(counts)),
        "totals": totals,
        "rates": rates(totals),
        "failure_share": structs.asdict(failing(counts)),
        "templates": templates,
    }
    return answer | _more(count - len(chosen), sums.of_others(), names)


def template_answers(
    chosen: Sequence[Template], rows: Iterable[OfTemplate], names: Sequence[str]
) -> Steps[list[Json]]:
    """Return the entries of templates from their rows, with these numbers."""
    sums = Sums(chosen)
    for template, its_rows in rows:
        sums.add(template, its_rows)
        yield
    return (yield from _template_answers(chosen, sums, names))


def _template_answers(chosen: Sequence[Template], sums: Sums, names: Sequence[str]) -> Steps[list[Json]]:
    shown = []
    for template in chosen:
        numbers = shaped(sums.counts_of(template), names)
        shown.append(_template_answer(template, numbers, sums.labels_of(template)))
        yield
    return shown


def smallest(templates: Iterable[Template], most: int) -> Steps[tuple[list[Template], int]]:
    """Return the smallest templates in order, `most` at most, and the number of all templates."""
    kept: list[Template] = []
    waiting: list[Template] = []
    count = 0
    for count, template in enumerate(templates, start=1):  # noqa: B007 - the last one is the number of all
        if len(kept) < most or template < kept[-1]:
            waiting.append(template)
        if len(waiting) >= most:
            kept, waiting = sorted(kept + waiting)[:most], []
        yield
    return sorted(kept + waiting)[:most], count


def campaign_summary(totals: Totals, first_ms: int, last_ms: int) -> Json:
    """Return a campaign's entry in a list: channel, description, totals, rates, first and last activity."""
    channels = channels_named(channel for channel, rows in totals.channels.items() if rows)
    counts = totals.counts
    shown = shaped(counts, numbers_of(channels))
    return {
        "channel": channel_of(channels),
        **structs.asdict(read_description(counts)),
        "totals": shown,
        "rates": rates(shown),
        "failure_share": structs.asdict(failing(counts)),
        "first_activity": rfc_3339(first_ms),
        "last_activity": rfc_3339(last_ms),
    }


def shaped(counts: Mapping[str, int], names: Sequence[str]) -> Json:
    """Return the named numbers in the form of answers, derived ones included; maps hold no zeros."""
    entries: dict[str, Counts] = {name: {} for name in (*MAPS, *DISTRIBUTIONS)}
    for key, value in counts.items():
        name, entry, _ = flat(key)
        if entry and value and name in entries:
            entries[name][entry] = value
    return {name: _number(name, counts, entries) for name in names}


def rates(shown: Mapping[str, Any]) -> Json:
    """Return the rates whose two numbers are shown; the value is None where the denominator is 0."""
    return {
        rate.name: {"value": share(shown[rate.numerator], shown[rate.denominator]), "of": rate.denominator}
        for rate in RATES
        if rate.numerator in shown and rate.denominator in shown
    }


def failing(counts: Mapping[str, int]) -> FailureShare:
    """Return the share of failures in what a campaign sent: messages taken, calls, and what failed before."""
    at_send, after = counts.get("failed_at_send", 0), counts.get("failed_after_send", 0)
    return failure_share(at_send + after, counts.get("accepted", 0) + counts.get("attempted", 0) + at_send)


def rfc_3339(at_ms: int) -> str:
    """Return Unix milliseconds as RFC 3339 in UTC."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")[:-6] + "Z"


def may_change_until(channel: str, last_ms: int) -> str | None:
    """Return until when a campaign's numbers may change; None where calls end when they end."""
    return None if channel == "voice" else rfc_3339(last_ms + LATEST_NEWS_MS)


def _more(count: int, counts: Counts, names: Sequence[str]) -> Json:
    """Return the entry for the templates that an answer does not show; nothing where it shows all."""
    if not count:
        return {}
    shown = shaped(adding_up(counts), [name for name in names if adds_up(name)])
    return {"templates_more": {"templates": count, "counters": shown, "rates": rates(shown)}}


def _number(name: str, counts: Mapping[str, int], entries: Mapping[str, Counts]) -> Any:
    if derived := DERIVED_BY_NAME.get(name):
        return sum(counts.get(n, 0) for n in derived.plus) - sum(counts.get(n, 0) for n in derived.minus)
    kind = BY_NAME[name].kind
    if kind == "count":
        return counts.get(name, 0)
    return dict(sorted(entries[name].items())) if kind == "map" else _seconds(summarise(entries[name]))


def _seconds(summary: Summary) -> Json:
    return {
        "count": summary.count,
        "p50_ms": summary.p50_ms,
        "p95_ms": summary.p95_ms,
        "p99_ms": summary.p99_ms,
        "negative": summary.negative,
    }


def share(numerator: int, denominator: int) -> float | None:
    """Return a share, rounded as answers show it; None of nothing."""
    return round(numerator / denominator, DIGITS) if denominator else None


def _template_answer(template: Template, shown: Json, labels: list[str]) -> Json:
    return {
        "template": {"name": template.name, "language": template.language, "ids": labels},
        "counters": shown,
        "rates": rates(shown),
    }
