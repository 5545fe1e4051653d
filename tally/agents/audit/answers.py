"""What the read API of a worker answers, compared with the rows of copies. Pure.

The receipt of an answer says how far the view had read. A row that is not newer must stand in the answer as
it is. A newer row is late: the answer cannot be held to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, convert

from tally.agents.audit.drift import Drift, drift
from tally.agents.view.answer import campaign_answer
from tally.agents.view.campaign import PartitionRow
from tally.agents.view.operator_rows import read_operator
from tally.schemas.descriptions import FIELDS
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import Row

Scope = tuple[str, str]
"""Tenant and campaign, as the API is asked; without a campaign the tenant's operators."""
Progress = Mapping[int, int]
Numbers = Mapping[str, int | dict[str, int | None]]


class Receipt(Struct, frozen=True):
    """Which moment an answer speaks of."""

    generation: int
    progress: dict[int, int]


class NamedTemplate(Struct, frozen=True):
    """A template as answers name it."""

    name: str
    language: str


class TemplateAnswer(Struct, frozen=True):
    """The numbers of one template."""

    template: NamedTemplate
    counters: Numbers


class CampaignAnswer(Struct, frozen=True):
    """The numbers of one campaign; none where nothing is counted for it."""

    receipt: Receipt
    totals: Numbers = {}
    templates: list[TemplateAnswer] = []
    name: str | None = None
    status: str | None = None
    tags: list[str] = []
    planned: int | None = None
    limits: dict[str, int] = {}

    @property
    def said(self) -> dict[str, int | None]:
        """What is said of the campaign, as entries of a map; 1 each."""
        said = {field: getattr(self, field) for field in FIELDS}
        return {f"{field}={value!r}": 1 for field, value in said.items() if value}


class OperatorAnswer(Struct, frozen=True):
    """What one operator has done."""

    pbx: str
    operator: str
    counts: dict[str, int]


class OperatorsAnswer(Struct, frozen=True):
    """What operators of one tenant have done: all of them, or one page."""

    receipt: Receipt
    operators: list[OperatorAnswer]
    next_cursor: str | None = None


Answer = CampaignAnswer | OperatorsAnswer


class Compared(Struct, frozen=True):
    """What one answer has shown."""

    drift: tuple[Drift, ...] = ()
    late_rows: int = 0
    """Rows that the answer cannot be held to."""


def together(pages: Sequence[OperatorsAnswer]) -> OperatorsAnswer:
    """Return pages as one answer, which speaks of what all of them had read."""
    progress = [page.receipt.progress for page in pages]
    least = {partition: min(one.get(partition, 0) for one in progress) for partition in progress[0]}
    receipt = Receipt(pages[0].receipt.generation, least)
    return OperatorsAnswer(receipt, [one for page in pages for one in page.operators])


def compared(scope: Scope, rows: Sequence[PartitionRow], answer: Answer) -> Compared:
    """Compare an answer with the rows of its scope, as far as it can be held to them."""
    late = {key for partition, key, row in rows if _is_late(partition, row, answer.receipt.progress)}
    if isinstance(answer, CampaignAnswer):
        if late:  # totals are sums over all rows
            return Compared(late_rows=len(rows))
        return Compared(tuple(drift("view", None, _campaign_held(scope, rows), _campaign(scope, answer))))
    held, answered = _operators_held(rows), _operators(scope, answer)
    for key in late:
        held.pop(key.encode(), None)
        answered.pop(key.encode(), None)
    return Compared(tuple(drift("view", None, held, answered)), sum(key in late for _, key, _ in rows))


def _is_late(partition: int, row: Row, progress: Progress) -> bool:
    return row.next_offset > progress.get(partition, 0)


def _campaign_held(scope: Scope, rows: Sequence[PartitionRow]) -> dict[bytes, dict[str, int]]:
    """Return what rows come to, by the rules of answers: what is derived and which channels concern it."""
    nowhere = {"generation": 0, "progress": {}}
    return _campaign(scope, convert({**campaign_answer(rows), "receipt": nowhere}, CampaignAnswer))


def _campaign(scope: Scope, answer: CampaignAnswer) -> dict[bytes, dict[str, int]]:
    """Return the flat numbers of a campaign, under the key of its row `*`, and of its templates."""
    numbers: dict[Template | None, Numbers] = {None: {**answer.totals, "description": answer.said}}
    for part in answer.templates:
        numbers[Template(part.template.name, part.template.language)] = part.counters
    return {RowKey(*scope, template).encode(): flat(shown) for template, shown in numbers.items()}


def _operators_held(rows: Iterable[PartitionRow]) -> dict[bytes, dict[str, int]]:
    by_key: defaultdict[RowKey, list[Row]] = defaultdict(list)
    for _, key, row in rows:
        by_key[key].append(row)
    read = {key: read_operator(key.template or Template(), found) for key, found in by_key.items()}
    return {key.encode(): operator.counts for key, operator in read.items() if operator is not None}


def _operators(scope: Scope, answer: OperatorsAnswer) -> dict[bytes, dict[str, int]]:
    return {RowKey(*scope, Template(one.pbx, one.operator)).encode(): one.counts for one in answer.operators}


def flat(numbers: Numbers) -> dict[str, int]:
    """Return numbers as rows name them: `errors.meta:131026`; of distributions count and percentiles."""
    found: dict[str, int] = {}
    for name, number in numbers.items():
        if isinstance(number, int):
            found[name] = number
        else:
            found.update((f"{name}.{entry}", n) for entry, n in number.items() if n is not None)
    return found
