"""Answers of the read API: what the rows of a campaign come to, as JSON objects. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from tally.agents.view.channels import channel_of, channels_of, numbers_of
from tally.schemas.keys import RowKey, Template
from tally.schemas.metrics import BY_NAME, COUNTERS, DERIVED, DISTRIBUTIONS, MAPS, RATES
from tally.schemas.rows import LABELS, Row
from tally.tables.durations import Summary, summarise

Json = dict[str, Any]
Counts = dict[str, int]

DIGITS = 4
"""Rates are rounded to so many digits."""

_ADDS_UP = frozenset(counter.name for counter in COUNTERS if counter.adds_up)
_DERIVED = {derived.name: derived for derived in DERIVED}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Flat(NamedTuple):
    """A key of a row's counts, taken apart."""

    name: str
    entry: str
    adds_up: bool


def campaign_answer(rows: Sequence[tuple[int, RowKey, Row]]) -> Json:
    """Return channel, totals, rates and templates of a campaign."""
    templates = _by_template(rows)
    channels = channels_of(rows)
    names = numbers_of(channels)
    totals = shaped(_totals(templates), names)
    return {
        "channel": channel_of(channels),
        "totals": totals,
        "rates": rates(totals),
        "templates": [
            _template_answer(template, shaped(counts, names), _labels(rows, template))
            for template, counts in sorted((t, c) for t, c in templates.items() if t is not None)
            if any(counts.values())
        ],
    }


def campaign_summary(rows: Sequence[tuple[int, RowKey, Row]], first_ms: int, last_ms: int) -> Json:
    """Return what a list of campaigns shows of one: channel, totals, rates and its span of activity."""
    channels = channels_of(rows)
    totals = shaped(_totals(_by_template(rows)), numbers_of(channels))
    return {
        "channel": channel_of(channels),
        "totals": totals,
        "rates": rates(totals),
        "first_activity": rfc_3339(first_ms),
        "last_activity": rfc_3339(last_ms),
    }


def shaped(counts: Mapping[str, int], names: Sequence[str]) -> Json:
    """Return the named numbers of flat counts in the form of answers, derived ones too; no zeros in maps."""
    entries: dict[str, Counts] = {name: {} for name in (*MAPS, *DISTRIBUTIONS)}
    for flat, value in counts.items():
        name, entry, _ = _flat(flat)
        if entry and value and name in entries:
            entries[name][entry] = value
    return {name: _number(name, counts, entries) for name in names}


def rates(shown: Mapping[str, Any]) -> Json:
    """Return the rates between numbers that are shown; null where the denominator is 0."""
    return {
        rate.name: {"value": _ratio(shown[rate.numerator], shown[rate.denominator]), "of": rate.denominator}
        for rate in RATES
        if rate.numerator in shown and rate.denominator in shown
    }


def rfc_3339(at_ms: int) -> str:
    """Return unix milliseconds as people and programs read them, in UTC."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")[:-6] + "Z"


def _by_template(rows: Iterable[tuple[int, RowKey, Row]]) -> dict[Template | None, Counts]:
    """Sum each template over partitions; None is the campaign's own row `*`."""
    templates: dict[Template | None, Counts] = {}
    for _, key, row in rows:
        _add(templates.setdefault(key.template, {}), row.counts)
    return templates


def _totals(templates: Mapping[Template | None, Counts]) -> Counts:
    totals: Counts = {}
    known = totals.get
    for template, counts in templates.items():
        of_templates = template is not None
        for flat, value in counts.items():
            if _flat(flat).adds_up is of_templates:
                totals[flat] = known(flat, 0) + value
    return totals


@cache
def _flat(flat: str) -> _Flat:
    """Take a key apart; there are as many as counters, listed entries, buckets and queues: a few thousand."""
    name, _, entry = flat.partition(".")
    return _Flat(name, entry, name in _ADDS_UP)


def _add(counts: Counts, more: Mapping[str, int]) -> None:
    known = counts.get
    for flat, value in more.items():
        counts[flat] = known(flat, 0) + value


def _number(name: str, counts: Mapping[str, int], entries: Mapping[str, Counts]) -> Any:
    if derived := _DERIVED.get(name):
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


def _ratio(numerator: int, denominator: int) -> float | None:
    return round(numerator / denominator, DIGITS) if denominator else None


def _template_answer(template: Template, shown: Json, labels: list[str]) -> Json:
    return {
        "template": {"name": template.name, "language": template.language, "ids": labels},
        "counters": shown,
        "rates": rates(shown),
    }


def _labels(rows: Iterable[tuple[int, RowKey, Row]], template: Template) -> list[str]:
    """Return a template's ids of all partitions, as few as one row keeps: the smallest."""
    return sorted({label for _, key, row in rows if key.template == template for label in row.labels})[
        :LABELS
    ]
