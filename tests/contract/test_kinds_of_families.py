"""What a family is says what the fold asks of it, and what it may say is heeded on every way of a fact."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.fold.batch import fold_batch, resync_at, resync_steps
from tally.agents.fold.resync import open_subjects
from tally.agents.fold.steps import NO_LIMITS
from tally.schemas.call_facts import OPERATOR, Resynced
from tally.schemas.records import Keyed, KeyedFact
from tally.schemas.tables import ALIASES, OPEN
from tally.tables.families.family import ConnectedFamily, Family, PlainFamily, Resyncable
from tally.tables.families.operator import Operator, OperatorFamily
from tally.tables.families.registry import BY_KIND, FAMILIES
from tally.tables.pieces import at_once
from tally.tables.rules import Rules
from tests.support.facts import FACTS, KEYS, MEMBERS_SEEN, RESYNCS
from tests.support.partition import MemoryPartition, record

RULES = Rules()
PBX = b"pbx1"
OF_CONNECTED = {"subjects", "members", "join", "half_named", "named_together"}
OF_PLAIN = {"subject", "waits", "is_contested"}
OF_RESYNCABLE = {"resync_us", "resynced", "is_open"}
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.table)
resyncable = pytest.mark.parametrize(
    "family",
    [family for family in FAMILIES if isinstance(family, Resyncable)],
    ids=lambda family: family.table,
)


@every_family
def test_a_family_cannot_be_asked_for_what_it_is_not(family: Family[Any, Any]) -> None:
    for kind, methods in (
        (ConnectedFamily, OF_CONNECTED),
        (PlainFamily, OF_PLAIN),
        (Resyncable, OF_RESYNCABLE),
    ):
        assert {name for name in methods if hasattr(family, name)} == (
            methods if isinstance(family, kind) else set()
        )
    assert isinstance(family, PlainFamily) != isinstance(family, ConnectedFamily)


class Waiting(OperatorFamily):
    """Operators who wait for as long as they are in some queue."""

    def waits(self, state: Operator) -> bool:
        return self.is_open(state)


def key_of(family: Family[Any, Any]) -> bytes:
    """Return a key as route makes it: of what facts name by themselves, a business number or a PBX."""
    key = KEYS[family.table]
    return key.partition(b"/")[0] if isinstance(family, ConnectedFamily | Resyncable) else key


def waiting_after(facts: list[Keyed], partition: MemoryPartition) -> int:
    records = [record(partition.next_offset + nth, keyed) for nth, keyed in enumerate(facts)]
    folded = fold_batch(records, partition, RULES)
    partition.apply(folded.writes)
    partition.next_offset += len(facts)
    return folded.waiting


OPERATOR_FACTS = st.lists(
    st.builds(KeyedFact, st.just(OPERATOR), st.just(PBX), MEMBERS_SEEN | RESYNCS),
    min_size=1,
    max_size=12,
)


@given(OPERATOR_FACTS, st.integers(0, 12))
def test_a_subject_that_waits_is_waited_for_whatever_way_its_state_changes(
    facts: list[Keyed], cut: int
) -> None:
    family, partition = Waiting(), MemoryPartition()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BY_KIND, OPERATOR + b"1", family)
        waiting = sum(waiting_after(some, partition) for some in (facts[:cut], facts[cut:]) if some)
        states = [family.decode(value) for value in partition.tables[family.table].values()]
        assert waiting == sum(map(family.waits, states))

        resynced = record(partition.next_offset, KeyedFact(OPERATOR, PBX, Resynced(2**62)))
        subjects = open_subjects(resync_at(resynced), partition)
        steps = resync_steps(
            resync_at(resynced), subjects, partition, RULES, partition.next_offset, NO_LIMITS
        )
        assert at_once(steps).waiting == -waiting


@every_family
@given(data=st.data())
def test_what_a_batch_adds_to_those_that_wait_are_the_states_that_say_so(
    family: Family[Any, Any], data: st.DataObject
) -> None:
    facts = data.draw(st.lists(FACTS[family.table], min_size=1, max_size=8))
    partition = MemoryPartition()
    waiting = sum(waiting_after([KeyedFact(family.code, key_of(family), fact)], partition) for fact in facts)
    values = partition.tables[family.table].values()
    says = [isinstance(family, PlainFamily) and family.waits(family.decode(value)) for value in values]

    assert waiting == sum(says)


@resyncable
@given(data=st.data())
def test_the_index_of_what_is_open_is_that_of_the_states(
    family: Resyncable[Any, Any], data: st.DataObject
) -> None:
    facts: list[Any] = data.draw(st.lists(FACTS[family.table] | RESYNCS, min_size=1, max_size=8))
    partition = MemoryPartition()
    for fact in facts:
        partition.fold([KeyedFact(family.code, PBX, fact)], RULES)
    states = partition.tables[family.table].items()

    assert set(partition.tables[OPEN]) == {
        family.code + key for key, value in states if family.is_open(family.decode(value))
    }


@every_family
@given(data=st.data())
def test_only_of_connected_subjects_are_aliases_kept(family: Family[Any, Any], data: st.DataObject) -> None:
    partition = MemoryPartition()
    facts = data.draw(st.lists(FACTS[family.table], min_size=1, max_size=4))
    partition.fold([KeyedFact(family.code, key_of(family), fact) for fact in facts], RULES)

    assert bool(partition.tables[ALIASES]) == isinstance(family, ConnectedFamily)
