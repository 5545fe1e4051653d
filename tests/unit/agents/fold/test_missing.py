"""A subject that lacks facts is counted once, for everything that it or the missing fact may count for."""

from collections.abc import Sequence
from typing import Any

import pytest

from tally.agents.fold.beyond import mark_beyond
from tally.agents.fold.context import FoldContext, Merged
from tally.agents.fold.failure import FamilyFailure
from tally.agents.fold.missing import EVERYBODY, MOST_SCOPES, Missing, is_marked
from tally.agents.fold.quarantine import quarantine
from tally.schemas.bounds import Bound
from tally.schemas.call_facts import CALL, ChannelSnapshot, ChannelsSeen, Originated, Role
from tally.schemas.facts import (
    CUSTOMER,
    MESSAGE,
    RECIPIENT,
    AttemptResult,
    Claim,
    Claimed,
    CustomerSeen,
    Fact,
    Send,
    StatusSeen,
)
from tally.schemas.keys import Template, join_parts
from tally.schemas.missing import Entry, decode_missing, entries_of, is_missing
from tally.schemas.notices import (
    ANY_CAMPAIGN,
    CODE_FAILURE,
    LOST_RECORDS,
    NOTICE,
    TOO_LARGE,
    Acknowledged,
    Notice,
    Reading,
    Scope,
)
from tally.schemas.records import KeyedFact
from tally.schemas.tables import INCOMPLETE
from tally.schemas.topics import COUNTERS
from tally.schemas.wamids import message_key
from tally.tables.families.family import Family
from tally.tables.families.registry import BY_KIND
from tally.tables.rules import Rules
from tests.support.partition import MemoryPartition, Record, record

RULES = Rules()
NUMBER = join_parts("n1")
PBX = join_parts("pbx1")
SINCE_MS = 1_795_000_000_000
Counts = dict[tuple[str, Scope], int]
BOUND = Bound("few", "state", 1, "of a test", "incomplete")


def claim(campaign: str, tenant: str = "t1") -> Claim:
    return Claim(SINCE_MS, tenant, campaign, "8", "1", Template("promo", "nl"))


def customer_seen(*identifiers: bytes, campaign: str = "") -> Record:
    said = sent(*identifiers, campaign=campaign) if campaign else CustomerSeen(list(identifiers))
    return fact(CUSTOMER, NUMBER, said)


def sent(*identifiers: bytes, campaign: str) -> CustomerSeen:
    message = campaign.encode().ljust(12)
    return CustomerSeen([b"w" + message, *identifiers], Send(message, claim(campaign)))


def fact(family: bytes, key: bytes, said: Fact | Notice) -> Record:
    return record(0, KeyedFact(family, key, said))


def counts(partition: MemoryPartition) -> Counts:
    return {(one.kind, one.scope): one.count for one in entries(partition)}


def entries(partition: MemoryPartition) -> list[Entry]:
    held = [(key, raw) for key, raw in partition.tables[COUNTERS].items() if is_missing(key)]
    return [one for key, raw in held for one in entries_of(key, decode_missing(key, raw))]


def given_up(partition: MemoryPartition, *facts: Record, kind: str = CODE_FAILURE) -> Counts:
    """Set facts aside, each in a transaction of its own."""
    for one in facts:
        missing = Missing(partition)
        quarantine(missing, one, kind, partition, RULES)
        partition.apply(missing.writes(SINCE_MS))
    return counts(partition)


def test_several_facts_of_one_subject_make_it_incomplete_once() -> None:
    key = message_key("n1", "wamid.1")
    some = [fact(MESSAGE, key, Claimed(claim("c1"))), fact(MESSAGE, key, Claimed(claim("c1")))]
    assert given_up(MemoryPartition(), *some) == {(CODE_FAILURE, ("t1", "c1")): 1}


def test_a_fact_that_names_nobody_concerns_those_for_whom_its_subject_counts() -> None:
    partition, key = MemoryPartition(), message_key("n1", "wamid.1")
    partition.fold([KeyedFact(MESSAGE, key, Claimed(claim("c1")))], RULES)
    assert given_up(partition, fact(MESSAGE, key, StatusSeen("read", 1))) == {(CODE_FAILURE, ("t1", "c1")): 1}


def test_what_nobody_can_attribute_concerns_everybody() -> None:
    unknown = fact(MESSAGE, message_key("n1", "wamid.1"), StatusSeen("read", 1))
    assert given_up(MemoryPartition(), unknown) == {(CODE_FAILURE, EVERYBODY): 1}
    broken = Record(0, b"key", MESSAGE + b"1" + bytes(6) + b"\xc1")
    assert given_up(MemoryPartition(), broken) == {(CODE_FAILURE, EVERYBODY): 1}


def channel_seen(unique: str, variables: dict[Role, str]) -> ChannelsSeen:
    return ChannelsSeen(
        1, "seen", [ChannelSnapshot(unique, unique, f"PJSIP/1-{unique}", variables=variables)]
    )


def seen(unique: str, variables: dict[Role, str]) -> Record:
    return fact(CALL, PBX, channel_seen(unique, variables))


def test_a_call_of_no_campaign_concerns_the_tenant_alone_that_its_pbx_is_bound_to() -> None:
    bound, heard = seen("u1", {"tenant_bound": "t1"}), seen("u2", {"tenant_header": "t1"})
    ended = fact(CALL, PBX, Originated(1, "a1", "u3", 4, "t2"))
    assert given_up(MemoryPartition(), bound) == {(CODE_FAILURE, ("t1", ANY_CAMPAIGN)): 1}
    assert given_up(MemoryPartition(), ended) == {(CODE_FAILURE, ("t2", ANY_CAMPAIGN)): 1}
    assert given_up(MemoryPartition(), heard) == {(CODE_FAILURE, EVERYBODY): 1}


def test_a_fact_that_names_nobody_concerns_the_tenant_that_its_call_is_bound_to() -> None:
    partition = MemoryPartition()
    partition.fold([KeyedFact(CALL, PBX, channel_seen("u1", {"tenant_bound": "t1"}))], RULES)
    assert given_up(partition, seen("u1", {})) == {(CODE_FAILURE, ("t1", ANY_CAMPAIGN)): 1}


def test_a_campaign_that_is_named_stands_for_its_tenant() -> None:
    some = [seen("u1", {"tenant_bound": "t1", "campaign": "c1"}), seen("u1", {"tenant_bound": "t1"})]
    assert given_up(MemoryPartition(), *some) == {(CODE_FAILURE, ("t1", "c1")): 1}


def test_a_further_fact_of_a_subject_that_is_too_large_says_for_itself_whose_it_is() -> None:
    partition = MemoryPartition()
    partition.fold([KeyedFact(CUSTOMER, NUMBER, sent(b"p1", campaign="c1"))], RULES)
    more = [
        customer_seen(b"p1"),
        customer_seen(b"p1", campaign="c2"),
        customer_seen(b"p1"),
        customer_seen(b"p1", campaign="c2"),
    ]
    assert given_up(partition, *more, kind=TOO_LARGE) == {
        (TOO_LARGE, ("t1", "c1")): 1,
        (TOO_LARGE, ("t1", "c2")): 1,
    }
    (mark,) = partition.get_many(INCOMPLETE, [CUSTOMER + NUMBER + b"/p1"])
    assert is_marked(mark, TOO_LARGE)
    assert not is_marked(mark, CODE_FAILURE)
    assert not is_marked(None, TOO_LARGE)


def test_a_fact_that_would_join_two_concerns_those_of_both() -> None:
    partition = MemoryPartition()
    for phone, campaign in ((b"p1", "c1"), (b"p2", "c2")):
        partition.fold([KeyedFact(CUSTOMER, NUMBER, sent(phone, campaign=campaign))], RULES)
    assert given_up(partition, customer_seen(b"p1", b"p2"), kind=TOO_LARGE) == {
        (TOO_LARGE, ("t1", "c1")): 1,
        (TOO_LARGE, ("t1", "c2")): 1,
    }


def test_a_subject_of_more_campaigns_than_are_told_apart_concerns_everybody() -> None:
    partition, missing = MemoryPartition(), Missing(MemoryPartition())
    missing.mark(b"c1", TOO_LARGE, {("t", f"c{n}") for n in range(MOST_SCOPES + 1)})
    partition.apply(missing.writes(SINCE_MS))
    assert counts(partition) == {(TOO_LARGE, EVERYBODY): 1}


class Few(Family[Any, Any]):
    """Customers, of whom a test says when they are beyond a bound."""

    code, table = b"c", "customers"

    def __init__(self) -> None:
        self._customers = BY_KIND[CUSTOMER + b"1"]

    def merge(self, state: Any, facts: Sequence[Any]) -> Any:
        return self._customers.merge(state, facts)

    def contribution(self, key: bytes, state: Any, rules: Rules) -> Any:
        return self._customers.contribution(key, state, rules)

    def named(self, key: bytes, fact: Any) -> Sequence[Scope]:
        return self._customers.named(key, fact)


def beyond(
    partition: MemoryPartition,
    root: bytes,
    befores: Sequence[bytes],
    campaigns: Sequence[str],
    more: str = "",
) -> Counts:
    """Let a state that counts for campaigns be beyond its bound, after one more fact."""
    family, context = Few(), FoldContext(partition, RULES, Missing(partition))
    facts = [sent(b"p1", campaign=name) for name in campaigns]
    after = family.merge(None, facts)
    further = [sent(b"p1", campaign=more)] if more else []
    merged = Merged(root, dict.fromkeys(befores, after), after, further)
    mark_beyond(context, family, BOUND, merged)
    partition.apply(context.missing.writes(SINCE_MS))
    return counts(partition)


def test_a_subject_beyond_a_bound_is_marked_once_by_the_bounds_name() -> None:
    partition = MemoryPartition()
    for _ in range(2):
        assert beyond(partition, b"r1", [], ["c1"]) == {("few", ("t1", "c1")): 1}


def test_what_is_beyond_a_bound_and_in_no_state_is_told_to_whom_it_names() -> None:
    partition = MemoryPartition()
    beyond(partition, b"r1", [], ["c1"])
    assert beyond(partition, b"r1", [b"r1"], ["c1"], more="c9") == {
        ("few", ("t1", "c1")): 1,
        ("few", ("t1", "c9")): 1,
    }


def test_a_marked_subject_that_gets_another_key_stays_one_subject() -> None:
    partition = MemoryPartition()
    beyond(partition, b"r2", [], ["c1"])
    assert beyond(partition, b"r1", [b"r2"], ["c1", "c2"]) == {
        ("few", ("t1", "c1")): 1,
        ("few", ("t1", "c2")): 1,
    }
    assert set(partition.tables[INCOMPLETE]) == {b"cr1"}


def test_a_contact_beyond_its_attempts_is_incomplete_for_its_campaign_alone() -> None:
    partition = MemoryPartition()
    family = BY_KIND[RECIPIENT + b"1"]
    key = join_parts("t1", "c1", "8")
    bound = next(n for n in range(1, 100_000) if _is_beyond(family, n))
    results = [KeyedFact(RECIPIENT, key, _result(n)) for n in range(bound)]
    partition.fold(results[:-1], RULES)
    assert counts(partition) == {}
    partition.fold(results[-1:], RULES)
    partition.fold(results[:3], RULES)
    assert list(counts(partition).values()) == [1]
    ((kind, scope),) = counts(partition)
    assert scope == ("t1", "c1")
    assert kind == getattr(family.beyond(family.merge(None, [one.fact for one in results])), "name", "")


def _is_beyond(family: Family[Any, Any], attempts: int) -> bool:
    return family.beyond(family.merge(None, [_result(n) for n in range(attempts)])) is not None


def _result(number: int) -> AttemptResult:
    return AttemptResult("whatsapp", f"a{number:05}", "accepted", SINCE_MS, Template("promo", "nl"))


def test_notices_are_folded_with_all_other_facts_and_only_change_what_is_missing() -> None:
    reading = Reading("send-results", 3, "id", 7, 0, (4, 9))
    known = Acknowledged(LOST_RECORDS, ("send-results", "3"), 5, "a disk")
    partition = MemoryPartition()
    claimed = KeyedFact(MESSAGE, message_key("n1", "wamid.1"), Claimed(claim("c1")))
    partition.fold([KeyedFact(NOTICE, b"send-results/3", reading), claimed], RULES)
    partition.fold([KeyedFact(NOTICE, b"any", known)], RULES)
    partition.fold([KeyedFact(NOTICE, b"send-results/3", reading)], RULES)
    (entry,) = entries(partition)
    assert (entry.count, entry.acknowledged, entry.since_ms) == (5, 5, 7)
    assert len(partition.counts()) == 1


def test_a_notice_that_nobody_can_read_fails_as_a_fact_does() -> None:
    partition = MemoryPartition()
    broken = Acknowledged(LOST_RECORDS, ("send-results", "three"), 5, "")
    with pytest.raises(FamilyFailure, match="ValueError"):
        partition.fold([KeyedFact(NOTICE, b"any", broken)], RULES)


def test_a_subject_that_counts_for_nobody_any_more_is_not_made_everybodys() -> None:
    partition = MemoryPartition()
    for scopes in ({("t1", "c1")}, set[Scope]()):
        missing = Missing(partition)
        missing.mark(b"vcall", BOUND.name, scopes)
        partition.apply(missing.writes(SINCE_MS))
    assert counts(partition) == {("few", ("t1", "c1")): 1}
