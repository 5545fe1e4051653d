"""The laws of cells: they sum up to rows, and what happened to a campaign sums up to its numbers."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import permutations
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.fold.rows import cell_corrections, recount
from tally.schemas.cells import ActivityCell, Cell, decode_counts, decode_minutes, in_quarter
from tally.schemas.counters import ACTIVITY as NUMBERS
from tally.schemas.counters import BY_NAME, counters_of
from tally.schemas.grains import CAMPAIGN, OPERATOR, RowKey
from tally.schemas.places import place_number
from tally.schemas.records import Keyed, Origin, Traced
from tally.schemas.sends.full import read_send
from tally.schemas.tables import ACTIVITY, CELLS
from tally.schemas.topics import COUNTERS
from tally.tables.families.registry import FAMILIES
from tally.tables.rules import Rules
from tests.support.partition import MemoryPartition
from tests.unit.agents.fold.test_batch import FACTS, folded

WORDS: list[dict[str, Any]] = [
    {"contact": contact, "template": template}
    for template in (None, {"name": "promo", "language": "pt_BR"})
    for contact in (
        {"id": "8", "phone": "+55 11 99999-0000", "user_id": "someone"},
        {"id": "8", "user_id": "someone"},
        {"id": "8", "wa_id": "5511999990000", "user_id": "someone"},
    )
]
NUMBER = "106540352242922"
SEND: dict[str, Any] = {
    "tenant": "t1",
    "channel": "whatsapp",
    "campaign": "c1",
    "phone_number_id": NUMBER,
    "outcome": "accepted",
    "message_id": "wamid.1",
    "time": 1_795_000_000_000,
}
CALL = {"channel": "voice", "pbx": "pbx1", "call": {"action_id": "a1"}, "outcome": "requested"}
SIZES = st.lists(st.integers(1, 5), max_size=20)


def celled(counts: dict[str, int]) -> dict[str, int]:
    """Return the counts that cells have."""
    return {name: value for name, value in counts.items() if not BY_NAME[name.partition(".")[0]].is_live}


@given(FACTS, SIZES)
def test_every_counter_of_a_row_is_the_sum_of_its_cells(facts: list[Keyed], sizes: list[int]) -> None:
    partition = folded(facts, sizes)
    sums: defaultdict[bytes, Counter[str]] = defaultdict(Counter)
    for key, value in partition.tables[CELLS].items():
        sums[Cell.decode(key).row.encode()].update(decode_counts(value))
    rows = {key: celled(counts) for key, counts in partition.counts().items()}

    assert {key: dict(counts) for key, counts in sums.items()} == {
        key: row for key, row in rows.items() if row
    }


@given(FACTS, SIZES)
def test_what_happened_to_a_campaign_sums_up_to_its_numbers(facts: list[Keyed], sizes: list[int]) -> None:
    partition = folded(facts, sizes)
    happened: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for key, value in partition.tables[ACTIVITY].items():
        cell = ActivityCell.decode(key)
        happened[cell.tenant, cell.campaign].update(in_quarter(decode_minutes(value)))

    assert happened == campaigns(partition)


def campaigns(partition: MemoryPartition) -> dict[tuple[str, str], Counter[str]]:
    """Return the numbers of each campaign that activity has, by rows alone."""
    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for key, counts in partition.counts().items():
        row = RowKey.decode(key)
        for name in NUMBERS if row.grain is not OPERATOR else ():
            of = [counter for counter in counters_of(name) if counter.summed_from(CAMPAIGN) is row.grain]
            if value := sum(counts.get(counter.name, 0) for counter in of):
                found[row.tenant, row.campaign][name] += value
    return found


@given(FACTS, SIZES)
def test_cells_hold_something_and_are_what_the_states_come_to(facts: list[Keyed], sizes: list[int]) -> None:
    partition = folded(facts, sizes)
    counted = recount(partition.states(), Rules(), partition.next_offset).cells

    for value in partition.tables[CELLS].values():
        assert decode_counts(value)
        assert 0 not in decode_counts(value).values()
    for value in partition.tables[ACTIVITY].values():
        minutes = decode_minutes(value)
        assert minutes
        for counts in minutes.values():
            assert counts
            assert 0 not in counts.values()
            assert counts.keys() <= set(range(15))
    for table in (CELLS, ACTIVITY):
        held = partition.tables[table]
        assert cell_corrections(held, counted[table]) == {}
        assert cell_corrections(held | {b"other": b"\x80"}, counted[table]) == {b"other": None}
        assert cell_corrections({}, counted[table]) == held


@given(FACTS, SIZES)
def test_keys_of_cells_begin_with_their_rows_and_are_read_as_they_were_written(
    facts: list[Keyed], sizes: list[int]
) -> None:
    partition = folded(facts, sizes)
    for key in partition.tables[CELLS]:
        cell = Cell.decode(key)
        assert key.startswith(cell.row.encode() + b"/")
        assert cell.encode() == key
    for key in partition.tables[ACTIVITY]:
        assert ActivityCell.decode(key).encode() == key


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), st.integers(), st.booleans())
def test_a_send_that_is_published_in_other_words_is_one_send_in_one_cell(
    words: list[dict[str, Any]], seed: int, is_call: bool
) -> None:
    events = [orjson.dumps(SEND | (CALL if is_call else {}) | more) for more in words]
    shuffled = list(events)
    random.Random(seed).shuffle(shuffled)
    partition, other = (
        folded([keyed for event in those for keyed in read_send(event).facts], [1] * 20)
        for those in (events, shuffled)
    )

    assert stored(partition) == stored(other)
    cells = [Cell.decode(key) for key in partition.tables[CELLS]]
    assert {(cell.market, cell.number) for cell in cells} == {
        ("BR" if any(len(one["contact"]) > 2 for one in words) else "", "pbx1" if is_call else NUMBER)
    }
    assert len({cell.row for cell in cells if cell.row.template is not None}) == 1
    assert len({cell.quarter for cell in cells}) == 1


PUBLISHED: dict[str, dict[str, Any]] = {
    "an accepted send": {"outcome": "accepted", "message_id": "wamid.1"},
    "a send that failed": {"outcome": "failed", "error": {"source": "meta", "code": 131026}},
    "a call": CALL,
    "a call that waits": {"channel": "voice", "outcome": "queued", "pbx": "pbx1"},
}
OMITTED = [(), ("phone",), ("template",), ("number",), ("phone", "template", "number")]
"""What a copy of a send leaves out; its number only of a call that no PBX was asked for: the PBX."""


@pytest.mark.parametrize("published", PUBLISHED.values(), ids=PUBLISHED)
def test_a_send_with_and_without_phone_number_and_template_is_one_in_every_order(
    published: dict[str, Any],
) -> None:
    """One state of each family, byte for byte with its places, one row of a template, and one cell of it."""
    copies = [_copy(published, omitted) for omitted in OMITTED]
    traced = [
        [(keyed, Origin(1, place_number("send-results", 2, nth))) for keyed in read_send(copy).facts]
        for nth, copy in enumerate(copies)
    ]
    assert all(traced)
    once = _published(traced)

    assert all(stored(_published(order)) == stored(once) for order in permutations(traced))
    assert all(len(once.tables[family.table]) <= 1 for family in FAMILIES)
    (row,) = {cell.row for key in once.tables[CELLS] if (cell := Cell.decode(key)).row.template is not None}
    (only,) = {cell for key in once.tables[CELLS] if (cell := Cell.decode(key)).row == row}
    assert only.market == "BR"
    assert only.number == ("pbx1" if "pbx" in published else NUMBER)
    assert once.counts()[row.encode()]["attempts"] == 1


def _copy(published: dict[str, Any], omitted: tuple[str, ...]) -> bytes:
    contact = {"id": "8", "user_id": "someone"} | ({} if "phone" in omitted else {"phone": "+5511999990000"})
    copy = SEND | published | {"contact": contact}
    if published["outcome"] != "accepted":
        del copy["message_id"]
    if "template" not in omitted:
        copy["template"] = {"name": "promo", "language": "pt_BR"}
    if copy["channel"] == "voice":
        del copy["phone_number_id"]
    if "number" in omitted and published["outcome"] == "queued":
        del copy["pbx"]
    return orjson.dumps(copy)


def _published(order: Iterable[list[Traced]]) -> MemoryPartition:
    partition = MemoryPartition()
    for facts in order:
        partition.fold_traced(facts, Rules())
    return partition


def stored(partition: MemoryPartition) -> dict[str, dict[bytes, bytes]]:
    """Return all tables, without when a row was last changed."""
    held = {table: dict(entries) for table, entries in partition.tables.items() if table != COUNTERS}
    return held | {"counts": {key: repr(counts).encode() for key, counts in partition.counts().items()}}
