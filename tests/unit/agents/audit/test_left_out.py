"""The audit leaves out of both counts exactly the subjects that it cannot compare with the raw topics."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tally.agents.audit.left_out import count_of, counted_without, left_out
from tally.agents.fold.batch import fold_batch
from tally.agents.fold.missing import Missing
from tally.schemas.bounds import CALL_MEMBERS
from tally.schemas.call_facts import CALL, ChannelSnapshot, ChannelsSeen
from tally.schemas.facts import CUSTOMER, MESSAGE, Claim, Claimed, CustomerSeen, Send
from tally.schemas.keys import Template, join_parts
from tally.schemas.notices import CODE_FAILURE, TOO_LARGE
from tally.schemas.records import Keyed, KeyedFact
from tally.schemas.tables import INCOMPLETE
from tally.schemas.wamids import message_key
from tally.tables.rules import Rules
from tally.tables.store.local import LocalStore, Meta
from tests.support.partition import record

RULES = Rules()
META = Meta("audit", {}, 0)
NUMBER = join_parts("n1")
ROW = b"t1/c1/promo/nl"


class Two(NamedTuple):
    held: LocalStore
    raw: LocalStore


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(LocalStore(tmp_path / "held"), LocalStore(tmp_path / "raw"))


def fold(store: LocalStore, *facts: Keyed) -> None:
    records = [record(nth, keyed) for nth, keyed in enumerate(facts)]
    store.write(fold_batch(records, store, RULES).writes, META)


def mark(store: LocalStore, subject: bytes, kind: str = CODE_FAILURE) -> None:
    missing = Missing(store)
    missing.mark(subject, kind, [("t1", "c1")])
    store.write(missing.writes(1), META)


def message(number: int) -> Keyed:
    claim = Claim(1_795_000_000_000, "t1", "c1", "8", str(number), Template("promo", "nl"))
    return KeyedFact(MESSAGE, message_key("n1", f"wamid.{number}"), Claimed(claim))


def customer(*phones: bytes, message: bytes) -> Keyed:
    claim = Claim(1_795_000_000_000, "t1", "c1", "8", "1", Template("promo", "nl"))
    digest = message.ljust(12)
    return KeyedFact(CUSTOMER, NUMBER, CustomerSeen([b"w" + digest, *phones], Send(digest, claim)))


def test_where_nothing_was_quarantined_nothing_is_left_out(two: Two) -> None:
    for store in two:
        fold(store, message(1), message(2))
    names = left_out(*two)
    assert names == {}
    assert counted_without(two.held, names, RULES).rows[ROW] == {"accepted": 2}
    assert count_of(two.held, names) == 0


def test_a_subject_that_lacks_a_fact_is_left_out_of_both(two: Two) -> None:
    fold(two.held, message(1))
    fold(two.raw, message(1), message(2))
    mark(two.held, MESSAGE + message_key("n1", "wamid.2"))
    names = left_out(*two)
    assert [counted_without(store, names, RULES).rows[ROW] for store in two] == [{"accepted": 1}] * 2
    assert (count_of(two.held, names), count_of(two.raw, names)) == (0, 1)


@pytest.mark.parametrize("subject", [b"/p1", b"/p1+n1/p2"])
def test_whoever_a_fact_that_was_quarantined_would_have_joined_is_left_out_of_both(
    two: Two, subject: bytes
) -> None:
    apart = [customer(b"p1", message=b"a"), customer(b"p2", message=b"b"), customer(b"p3", message=b"c")]
    fold(two.held, *apart)
    fold(two.raw, *apart, customer(b"p1", b"p2", message=b"a"))
    mark(two.held, CUSTOMER + NUMBER + subject, TOO_LARGE)
    names = left_out(*two)
    counts = [counted_without(store, names, RULES) for store in two]
    assert counts[0] == counts[1]
    assert counts[0].rows[b"t1/c1"] == {"contacts_accepted": 1}
    assert (count_of(two.held, names), count_of(two.raw, names)) == (2, 1)


def test_a_subject_beyond_a_bound_is_compared_as_all_others(two: Two) -> None:
    fold(two.held, message(1))
    mark(two.held, MESSAGE + message_key("n1", "wamid.1"), "attempts")
    assert left_out(*two) == {}


def call(moments: int) -> list[Keyed]:
    """Return a caller of a contact, of whom so many moments are known, from the last to the first."""
    shown = ChannelSnapshot("u1", "", "PJSIP/t-1", 6, {"campaign": "c1", "contact": "8", "tenant": "t1"})
    facts = [ChannelsSeen(1_795_000_000_000_000 + nth, "hold", [shown]) for nth in range(moments)]
    return [KeyedFact(CALL, join_parts("pbx1"), fact) for fact in reversed(facts)]


def test_a_call_beyond_its_bound_counts_nothing_in_either_count_and_is_not_left_out(two: Two) -> None:
    facts = call(CALL_MEMBERS.most)
    fold(two.raw, *facts)
    for some in (facts[1_000:], facts[:1_000], call(3)):
        fold(two.held, *some)
    assert left_out(*two) == {}
    assert [list(store.items(INCOMPLETE)) != [] for store in two] == [True, True]
    assert [counted_without(store, {}, RULES).rows for store in two] == [{}, {}]
