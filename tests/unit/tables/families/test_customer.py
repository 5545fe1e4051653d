"""Identifiers with too many links: facts alone decide who is a customer, and every customer is bounded."""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.fold.batch import fold_batch
from tally.agents.fold.parted import APART
from tally.schemas.bounds import CUSTOMER as CUSTOMER_BOUND
from tally.schemas.bounds import IDENTIFIER_LINKS, IDENTIFIER_MESSAGES
from tally.schemas.facts import CUSTOMER, Claim, CustomerSeen, Inbound, Send
from tally.schemas.grains import RowKey
from tally.schemas.tables import ALIASES
from tally.streams.operations.looks import Crowds
from tally.tables.families.customer.state import Most
from tally.tables.rules import Rules
from tests.support.cpu import doubling
from tests.support.customers import (
    FAMILY,
    NUMBER,
    SEEN,
    bounds,
    customers,
    expected_counts,
    keyed,
    refused,
)
from tests.support.partition import MemoryPartition, record

RULES = Rules()
FEW = Most(links=2, messages=3)
FACTS = st.lists(SEEN, min_size=1, max_size=30)
SIZES = st.lists(st.integers(1, 6), max_size=30)


def folded(facts: Sequence[CustomerSeen], sizes: Iterable[int] = ()) -> MemoryPartition:
    partition, rest = MemoryPartition(), [keyed(fact) for fact in facts]
    for size in sizes:
        if not rest:
            break
        partition.fold(rest[:size], RULES)
        rest = rest[size:]
    partition.fold(rest, RULES)
    return partition


def totals(partition: MemoryPartition) -> dict[tuple[str, str], dict[str, int]]:
    """Return what campaigns count, without last touch and templates."""
    rows = {RowKey.decode(key): counts for key, counts in partition.counts().items()}
    return {
        (row.tenant, row.campaign): {
            name: count for name, count in counts.items() if name != "replied_last_touch"
        }
        for row, counts in rows.items()
        if row.template is None
    }


@given(FACTS, SIZES, st.integers())
def test_facts_alone_decide_who_is_one_customer_whatever_their_order_and_batches(
    facts: list[CustomerSeen], sizes: list[int], seed: int
) -> None:
    shuffled = [*facts, *facts[::3]]
    random.Random(seed).shuffle(shuffled)
    with bounds(FEW):
        whole, other = folded(facts), folded(shuffled, sizes)

        assert whole.tables["customers"] == other.tables["customers"]
        assert whole.tables[ALIASES] == other.tables[ALIASES]
        assert whole.counts() == other.counts()


@given(FACTS, SIZES)
def test_customers_are_what_is_connected_without_identifiers_that_connect_too_much(
    facts: list[CustomerSeen], sizes: list[int]
) -> None:
    with bounds(FEW):
        partition = folded(facts, sizes)
    code = CUSTOMER + NUMBER + b"/"
    roots = {key.removeprefix(code): root for key, root in partition.tables[ALIASES].items()}
    apart = {name for name, root in roots.items() if root == APART}
    together: dict[bytes, set[bytes]] = {}
    for name, root in roots.items():
        if root != APART:
            together.setdefault(root.removeprefix(NUMBER + b"/"), set()).add(name)

    assert apart == refused(facts, FEW)
    assert sorted(together.values(), key=min) == sorted(customers(facts, FEW), key=min)
    assert all(min(names) == root for root, names in together.items())
    assert totals(partition) == expected_counts(facts, FEW)


@given(FACTS, SIZES)
def test_a_recount_of_parted_customers_finds_nothing_to_correct(
    facts: list[CustomerSeen], sizes: list[int]
) -> None:
    with bounds(FEW):
        partition = folded(facts, sizes)

    assert partition.recounted(RULES) == partition.counts()


LINKS, MESSAGES = IDENTIFIER_LINKS.most, IDENTIFIER_MESSAGES.most


def sent(nth: int, *names: bytes) -> CustomerSeen:
    digest = b"%012d" % nth
    claim = Claim(1_795_000_000_000 + nth, "t1", "c1", str(nth), "1")
    return CustomerSeen([b"w" + digest, *names], Send(digest, claim))


def replied(nth: int, *names: bytes) -> CustomerSeen:
    return CustomerSeen(list(names), None, Inbound(b"in%010d" % nth, 1_795_000_100))


def shuffled(facts: list[CustomerSeen], seed: int = 1) -> list[CustomerSeen]:
    return random.Random(seed).sample(facts, len(facts))


def counted(facts: Sequence[CustomerSeen]) -> dict[str, int]:
    return totals(folded(facts, [1, 7, 200, 3])).get(("t1", "c1"), {})


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("phones", "reached"), [(LINKS - 1, 1), (LINKS, 1), (LINKS + 1, LINKS + 1)])
def test_one_user_id_joins_as_many_phones_as_the_bound_says_and_none_beyond_it(
    phones: int, reached: int, seed: int
) -> None:
    facts = [sent(nth, b"p316%08d" % nth) for nth in range(phones)]
    facts += [CustomerSeen([b"p316%08d" % nth, b"ugateway"]) for nth in range(phones)]
    facts.append(replied(1, b"p31600000000", b"ugateway"))

    assert counted(shuffled(facts, seed)) == {"contacts_accepted": reached, "replied": 1}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("users", "reached"), [(LINKS - 1, 1), (LINKS, 1), (LINKS + 1, LINKS + 1)])
def test_one_phone_joins_as_many_user_ids_as_the_bound_says_and_none_beyond_it(
    users: int, reached: int, seed: int
) -> None:
    facts = [sent(nth, b"p316", b"uNL.%d" % nth) for nth in range(users)]

    assert counted(shuffled(facts, seed)) == {"contacts_accepted": reached}


@pytest.mark.parametrize(("sends", "reached"), [(LINKS - 1, 1), (LINKS, 1), (LINKS + 1, LINKS + 2)])
def test_one_message_id_joins_as_many_phones_as_the_bound_says_and_none_beyond_it(
    sends: int, reached: int
) -> None:
    # Beside the message that all phones share, each has one of its own.
    facts = [sent(nth, b"p316%08d" % nth) for nth in range(1, sends + 1)]
    facts += [sent(0, b"p316%08d" % nth) for nth in range(1, sends + 1)]

    assert counted(shuffled(facts)) == {"contacts_accepted": reached}


@pytest.mark.parametrize(("sends", "reached"), [(-1, 1), (0, 1), (1, MESSAGES)])
def test_messages_that_a_phone_receives_and_sends_count_towards_its_bound(sends: int, reached: int) -> None:
    facts = [sent(nth, b"p316") for nth in range(MESSAGES - 1 + sends)]
    facts.append(replied(1, b"p316"))
    is_known = reached == 1

    assert counted(shuffled(facts)) == {"contacts_accepted": reached} | ({"replied": 1} if is_known else {})


def test_what_hangs_on_identifiers_that_identify_nobody_alone_is_a_customer_for_each_message() -> None:
    facts = [CustomerSeen([b"p316%08d" % nth, b"ugateway"]) for nth in range(LINKS + 1)]
    facts += [sent(1, b"ugateway"), sent(2, b"ugateway"), replied(3, b"ugateway")]

    assert counted(shuffled(facts)) == {"contacts_accepted": 2}


def test_a_reply_counts_for_whoever_its_other_identifiers_identify() -> None:
    facts = [CustomerSeen([b"p316%08d" % nth, b"ugateway"]) for nth in range(LINKS + 1)]
    facts += [sent(1, b"p31600000001"), replied(2, b"p31600000001", b"ugateway")]

    assert counted(shuffled(facts)) == {"contacts_accepted": 1, "replied": 1}


def test_an_identifier_that_identifies_nobody_is_a_few_bytes_however_many_facts_show_it() -> None:
    facts = [sent(nth, b"p316%08d" % nth, b"ugateway") for nth in range(400)]
    partition = folded(facts)
    states = partition.tables["customers"]

    assert len(states[NUMBER + b"/ugateway"]) < 50
    assert max(map(len, states.values())) < 300
    assert partition.tables[ALIASES][CUSTOMER + NUMBER + b"/ugateway"] == APART


def test_a_customer_that_outgrows_a_record_is_parted_where_it_connects_most_and_says_so() -> None:
    # A producer's constant phone; statuses name whom it was really sent to.
    facts = [fact for nth in range(300) for fact in (sent(nth, b"p555"), sent(nth, b"p316%08d" % nth))]
    with bounds(Most(state_bytes=20_000)):
        partition = folded(shuffled(facts), [25] * 30)
    states = {key: FAMILY.decode(value) for key, value in partition.tables["customers"].items()}

    assert max(map(len, partition.tables["customers"].values())) <= 20_000
    assert FAMILY.beyond(states[NUMBER + b"/p555"]) is CUSTOMER_BOUND
    assert totals(partition)["t1", "c1"]["contacts_accepted"] > 100


def chain(size: int) -> list[CustomerSeen]:
    """Return what shows phones, each with the next one, as those of one customer."""
    return [fact for nth in range(size) for fact in (sent(nth, b"p%08d" % nth), _next(nth))]


def _next(nth: int) -> CustomerSeen:
    return CustomerSeen([b"p%08d" % nth, b"p%08d" % (nth + 1)])


def test_parting_a_customer_that_has_grown_too_large_as_a_chain_costs_what_it_is_long() -> None:
    def parting(size: int) -> Callable[[], object]:
        partition = folded(chain(size))
        records = [record(0, keyed(_next(size)))]

        def work() -> None:
            with bounds(Most(state_bytes=2_000)):
                fold_batch(records, partition, RULES)

        return work

    assert doubling(parting(1_000), parting(2_000), 2.6) <= 2.6


def webhook(contacts: int) -> list[CustomerSeen]:
    return [CustomerSeen([b"p316%08d" % nth, b"ugateway"]) for nth in range(contacts)]


def test_a_webhook_that_shows_one_user_id_with_all_customers_costs_what_it_is_long() -> None:
    def joining(size: int) -> Callable[[], object]:
        partition = folded([sent(nth, b"p316%08d" % nth) for nth in range(size)])
        records = [record(nth, keyed(fact)) for nth, fact in enumerate(webhook(size))]
        return partial(fold_batch, records, partition, RULES)

    assert doubling(joining(1_000), joining(2_000), 2.6) <= 2.6


def test_a_webhook_that_shows_one_user_id_with_all_customers_leaves_them_apart() -> None:
    facts = [sent(nth, b"p316%08d" % nth) for nth in range(2_000)]
    facts += [replied(nth, b"p316%08d" % nth) for nth in range(0, 2_000, 4)]

    assert totals(folded([*facts, *webhook(2_000)], [500] * 20))["t1", "c1"] == {
        "contacts_accepted": 2_000,
        "replied": 500,
    }


def test_further_sends_of_a_placeholder_are_cheap() -> None:
    partition = folded([sent(nth, b"p555") for nth in range(MESSAGES + 1)])
    began = time.process_time()
    for nth in range(10_000, 11_000):
        partition.fold(
            [keyed(CustomerSeen([b"w%012d" % nth, b"p316%08d" % nth]))], RULES
        )  # its status came first
        partition.fold([keyed(sent(nth, b"p555"))], RULES)

    assert time.process_time() - began < 5.0
    assert totals(partition)["t1", "c1"] == {"contacts_accepted": MESSAGES + 1_001}


def test_a_batch_says_how_many_more_identifiers_identify_nobody_and_doctor_at_which_number() -> None:
    facts = [sent(nth, b"p316%08d" % nth, b"ugateway") for nth in range(LINKS + 3)]
    partition, crowds, refused_by_batch = MemoryPartition(), Crowds(), []
    for nth, fact in enumerate([*facts, *facts]):
        folded_one = fold_batch([record(nth, keyed(fact))], partition, RULES)
        partition.apply(folded_one.writes)
        refused_by_batch.append(folded_one.refused)
        for key, value in folded_one.writes["customers"].items():
            crowds.apply(key, value)

    assert refused_by_batch == [0] * LINKS + [1] + [0] * (len(facts) * 2 - LINKS - 1)
    assert str(crowds) == (
        f"identifiers that identify nobody: {NUMBER.decode()}: 1; of these by the size of a customer: none;"
        " largest customer: below 10,000 of 500,000 bytes"
    )


@pytest.mark.parametrize("digest", [b"\xb5" * 12, b"/" * 12, b"\0" * 12, b"%2F" * 4])
def test_doctor_says_at_which_number_a_message_id_identifies_nobody_whatever_its_digest(
    digest: bytes,
) -> None:
    partition, crowds = (
        folded([CustomerSeen([b"w" + digest, b"p316%08d" % nth]) for nth in range(LINKS + 1)]),
        Crowds(),
    )
    for key, value in partition.tables["customers"].items():
        crowds.apply(key, value)

    assert str(crowds).startswith(f"identifiers that identify nobody: {NUMBER.decode()}: 1;")


@pytest.mark.parametrize(
    "name", [b"p0", b"p0000000000", b"u0", b"uunknown", b"uNULL", b"pn/a", b"uUndefined"]
)
def test_an_identifier_that_is_written_like_none_joins_nobody_from_the_first(name: bytes) -> None:
    facts = [
        sent(1, b"p31600000001", name),
        sent(2, b"p31600000002", name),
        replied(3, b"p31600000001", name),
    ]

    assert counted(facts) == {"contacts_accepted": 2, "replied": 1}


@pytest.mark.parametrize("name", [b"p10", b"p007", b"uBR.0", b"uunknown.1", b"unobody"])
def test_an_identifier_that_is_written_like_one_joins_whom_it_is_shown_with(name: bytes) -> None:
    assert counted([sent(1, b"p31600000001", name), sent(2, b"p31600000002", name)]) == {
        "contacts_accepted": 1
    }
