"""A subject too large for a record quarantines all facts about it at once, whatever else they would join."""

import time

from tally.agents.fold.missing import Mark
from tally.agents.fold.quarantine import already_quarantined, subject_of
from tally.schemas.bounds import IDENTIFIER_LINKS
from tally.schemas.facts import CUSTOMER, CustomerSeen
from tally.schemas.notices import CODE_FAILURE, TOO_LARGE
from tally.schemas.rows import encode
from tally.schemas.tables import INCOMPLETE
from tally.tables.rules import Rules
from tests.support.customers import NUMBER, keyed
from tests.support.partition import MemoryPartition, Record, record

RULES = Rules()
LARGE = CUSTOMER + NUMBER + b"/p555"
MARKED = encode(Mark({TOO_LARGE: (("t1", "c1"),)}))


def about(nth: int, *identifiers: bytes) -> Record:
    return record(nth, keyed(CustomerSeen(list(identifiers))))


def partition() -> MemoryPartition:
    """Return a partition with a large customer and a small one, of which the small one's key is smaller."""
    made = MemoryPartition()
    made.fold([keyed(CustomerSeen([b"w%012d" % nth, b"p555"])) for nth in range(50)], RULES)
    made.fold([keyed(CustomerSeen([b"p111", b"u1"]))], RULES)
    return made


def test_a_fact_that_would_join_several_is_about_the_largest() -> None:
    assert subject_of(about(0, b"p111", b"p555"), partition()) == LARGE
    assert subject_of(about(0, b"p111", b"u2"), partition()) == CUSTOMER + NUMBER + b"/p111"
    assert subject_of(about(0, b"p333", b"u3"), partition()) == CUSTOMER + NUMBER + b"/p333"


def test_a_fact_about_an_identifier_that_stands_apart_names_that_one() -> None:
    made = MemoryPartition()
    shown = [keyed(CustomerSeen([b"p9%03d" % nth, b"ugateway"])) for nth in range(IDENTIFIER_LINKS.most + 1)]
    made.fold(shown, RULES)

    assert subject_of(about(0, b"ugateway"), made) == CUSTOMER + NUMBER + b"/ugateway"


def test_a_fact_is_quarantined_already_by_the_one_subject_that_is_too_large() -> None:
    made = partition()
    made.apply({INCOMPLETE: {LARGE: MARKED}})
    joins, alone, other, unknown = (
        about(0, b"p111", b"p555"),
        about(1, b"p555"),
        about(2, b"p111"),
        about(3, b"p333"),
    )

    assert already_quarantined([joins, alone, other, unknown], made) == [joins, alone]


def test_a_subject_that_only_failed_is_not_quarantined() -> None:
    made = partition()
    made.apply({INCOMPLETE: {LARGE: encode(Mark({CODE_FAILURE: (("t1", "c1"),)}))}})

    assert already_quarantined([about(0, b"p555")], made) == []


def test_a_thousand_facts_that_would_each_join_another_customer_to_a_large_one_cost_little() -> None:
    made = partition()
    made.apply({INCOMPLETE: {LARGE: MARKED}})
    made.fold([keyed(CustomerSeen([b"w9%011d" % nth, b"p7%09d" % nth])) for nth in range(1_000)], RULES)
    late = [about(nth, b"w9%011d" % nth, b"p555") for nth in range(1_000)]
    began = time.process_time()

    assert already_quarantined(late, made) == late
    assert time.process_time() - began < 1.0
