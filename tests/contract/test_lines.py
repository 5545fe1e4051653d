"""The laws of lines: they sum up to rows, each has a name of its own, a subject's are those of its state."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.cells import NO_QUARTER, QUARTER_MS
from tally.schemas.facts import (
    CUSTOMER,
    MESSAGE,
    RECIPIENT,
    AttemptResult,
    Claim,
    Claimed,
    CustomerSeen,
    Inbound,
    Send,
    StatusSeen,
)
from tally.schemas.keys import FREE_FORM, Template, join_parts
from tally.schemas.places import NOWHERE, place_number
from tally.schemas.records import Keyed, KeyedFact, Origin
from tally.schemas.sources import READERS
from tally.schemas.wamids import message_id, message_key, written_id
from tally.simulator.mixed import mixed
from tally.simulator.population import Size
from tally.simulator.records import RawRecord
from tally.tables.contribution import Part
from tally.tables.families.customer.state import Most
from tally.tables.line import Line
from tally.tables.postgres.lines import MAY_ADD_MORE
from tally.tables.rules import Rules
from tests.faults.events import troubled
from tests.support.call_packets import (
    CUSTOMER as CUSTOMERS_LEG,
)
from tests.support.call_packets import (
    OPERATOR,
    OTHER,
    Channel,
    Event,
    agent,
    answers,
    dial,
    enter,
    hangup,
    leave,
    queued_call,
    rings,
    send,
    talk,
)
from tests.support.customers import bounds
from tests.support.lines import MemoryLedger, lines_of, sums_of
from tests.support.partition import MemoryPartition
from tests.unit.agents.fold.test_batch import FACTS

RULES = Rules()
SIZES = st.lists(st.integers(1, 5), max_size=20)
NUMBER = "106540352242922"
PROMO = Template("promo", "pt_BR")
AT_S = 1_795_350_000
AT_MS = AT_S * 1_000
WAMID = "wamid.HBgLMTY1MDUwNzY1MjAVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"


def kept(facts: list[Keyed], sizes: list[int]) -> MemoryLedger:
    ledger, rest = MemoryLedger(RULES), list(facts)
    while rest:
        size = sizes.pop() if sizes else len(rest)
        ledger.fold(rest[:size])
        rest = rest[size:]
        assert sums_of(ledger.all) == ledger.partition.counts()
    return ledger


@given(FACTS, SIZES, st.integers(1, 8 * 86_400))
def test_lines_sum_up_to_rows_after_every_batch_and_by_other_rules(
    facts: list[Keyed], sizes: list[int], window: int
) -> None:
    """Each has a name of its own in its subject and row, and lies in its cell."""
    ledger = kept(facts, sizes)
    partition, narrow = ledger.partition, Rules(reply_window_seconds=window, unknown_is_human=True)

    assert ledger.lines == lines_of(partition, RULES)
    assert sums_of(flat(lines_of(partition, narrow))) == partition.recounted(narrow)
    for lines in ledger.lines.values():
        assert len({(line.part.row, line.part.of) for line in lines}) == len(lines)
        for line in lines:
            assert line.part.counts
            assert 0 not in line.part.counts.values()
            assert adding_more([line]) <= MAY_ADD_MORE
            if line.part.cell.quarter != NO_QUARTER and line.part.row.campaign:
                assert line.at_ms // QUARTER_MS == line.part.cell.quarter
    parts = [
        part
        for family, key, value in partition.states()
        for part in family.contribution(key, family.decode(value), RULES)
    ]
    assert by_market(line.part for line in ledger.all) == by_market(parts)


def adding_more(lines: Iterable[Line]) -> set[str]:
    """Return the numbers of campaigns to which some line adds more than 1."""
    counts = [one.part.counts for one in lines if one.part.row.campaign]
    return {name.partition(".")[0] for one in counts for name, count in one.items() if count > 1}


def by_market(parts: Iterable[Part]) -> dict[tuple[str, ...], Counter[str]]:
    """Return what parts come to by row, business number and market."""
    found: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for part in parts:
        found[repr(part.row), part.cell.number, part.cell.market].update(part.counts)
    return found


def test_in_a_world_of_both_channels_lines_sum_up_and_say_who_when_and_where() -> None:
    size = Size(campaigns_per_tenant=2, contacts_per_campaign=15, calls_per_campaign=12, late_at_most_s=2)
    records = troubled(Random(1), mixed(Random(1), AT_S, size))
    partition = folded_from(records)
    lines = [line for of_subject in lines_of(partition, RULES).values() for line in of_subject]

    assert sums_of(lines) == partition.counts()
    assert {"connected_ms", "queues"} <= adding_more(lines) <= MAY_ADD_MORE
    of_campaigns = [line for line in lines if line.part.row.campaign and line.events]
    assert {"accepted", "read", "inbound", "requested", "hangup"} <= {
        event.kind for line in of_campaigns for event in line.events
    }
    assert all(line.contact and line.attempt for line in of_campaigns)
    assert all(event.place != NOWHERE for line in of_campaigns for event in line.events)
    assert all(len({event.kind for event in line.events}) == len(line.events) for line in of_campaigns)
    assert any(line.error for line in lines)
    assert any(line.price for line in lines)
    assert {bool(line.phone) for line in of_campaigns} == {True, False}


def folded_from(records: list[RawRecord]) -> MemoryPartition:
    partition = MemoryPartition()
    for nth, one in enumerate(records):
        place = place_number(one.topic, 1, nth)
        facts = [(keyed, Origin(1, place)) for keyed in READERS[one.topic](one.value, one.headers).facts]
        partition.fold_traced(facts, RULES)
    return partition


def result(attempt: str, outcome: str, at_ms: int = AT_MS) -> Keyed:
    fact = AttemptResult("whatsapp", attempt, outcome, at_ms, PROMO, phone="5511")  # type: ignore[arg-type]
    return KeyedFact(RECIPIENT, join_parts("t1", "c1", "8"), fact)


def test_three_attempts_of_one_template_are_three_lines_of_one_row() -> None:
    ledger = kept([result("1", "failed"), result("2", "failed", AT_MS + 9), result("3", "queued")], [])

    (lines,) = ledger.lines.values()
    assert [(line.contact, line.attempt, line.part.counts.get("failed_at_send")) for line in lines] == [
        ("8", "1", 1),
        ("8", "2", 1),
        ("8", "3", None),
    ]
    assert [line.events[0].at_ms for line in lines] == [AT_MS, AT_MS + 9, AT_MS]
    assert [line.attempt for line in ledger.of("c1", "contacts")] == ["2"]


def claimed(campaign: str, at_ms: int, attempt: str = "1") -> Keyed:
    claim = Claim(at_ms, "t1", campaign, "8", attempt, PROMO, "BR", "5511")
    return KeyedFact(MESSAGE, message_key(NUMBER, WAMID), Claimed(claim, message_id(WAMID).spelling))


def test_a_claim_that_moves_takes_its_line_along_and_leaves_one_of_what_it_counts_elsewhere() -> None:
    delivered = KeyedFact(MESSAGE, message_key(NUMBER, WAMID), StatusSeen("delivered", AT_S + 3))
    ledger = kept([claimed("late", AT_MS + 5), delivered], [])
    assert [line.message for line in ledger.of("late", "delivered")] == [WAMID]

    ledger.fold([claimed("early", AT_MS), claimed("late", AT_MS + 7, attempt="2")])

    assert sums_of(ledger.all) == ledger.partition.counts()
    assert ledger.of("late", "delivered") == []
    (moved,) = ledger.of("early", "delivered")
    assert (moved.message, moved.contact, moved.at_ms) == (WAMID, "8", AT_MS)
    assert sorted(line.attempt for line in ledger.of("late", "claimed_elsewhere")) == ["1", "2"]


def seen(names: list[bytes], message: bytes = b"", at_ms: int = AT_MS, **more: object) -> Keyed:
    claim = Claim(at_ms, "t1", "c1", message.decode(), "1", PROMO)
    identifiers = [b"w" + message, *names] if message else names
    fact = CustomerSeen(identifiers, Send(message, claim) if message else None, **more)  # type: ignore[arg-type]
    return KeyedFact(CUSTOMER, join_parts(NUMBER), fact)


def contacts(ledger: MemoryLedger) -> list[tuple[bytes, str]]:
    """Return customers and the contacts of their lines in the campaign's own row."""
    return sorted(
        (key, line.contact)
        for (_, key), lines in ledger.lines.items()
        for line in lines
        if line.part.row.template is None
    )


def test_two_customers_who_turn_out_to_be_one_have_one_line_a_row_and_part_again_into_two() -> None:
    with bounds(Most(links=2)):
        one, other = seen([b"p1"], b"m" * 12), seen([b"p2"], b"n" * 12, AT_MS + 4)
        ledger = kept([one, other], [1, 1])
        assert len(contacts(ledger)) == 2

        ledger.fold([seen([b"p1", b"uBR.1"]), seen([b"p2", b"uBR.1"])])
        assert contacts(ledger) == [(join_parts(NUMBER) + b"/p1", "m" * 12)]
        assert len(ledger.of("c1", "contacts_accepted")) == 2

        ledger.fold([seen([b"p3", b"uBR.1"])])
        assert len(contacts(ledger)) == 2
        assert sums_of(ledger.all) == ledger.partition.counts()


def test_a_reply_names_the_send_that_counts_and_the_message_that_credits_it() -> None:
    inbound = Inbound(b"i" * 12, AT_S + 60)
    ledger = kept([seen([b"p1"], b"m" * 12), seen([b"p1"], inbound=inbound)], [])

    for line in ledger.of("c1", "replied"):
        assert [(event.kind, event.at_ms) for event in line.events] == [
            ("accepted", AT_MS),
            ("inbound", AT_MS + 60_000),
        ]
    narrow = Rules(reply_window_seconds=59)
    assert all("replied" not in one.part.counts for one in flat(lines_of(ledger.partition, narrow)))


def flat(found: dict[tuple[str, bytes], list[Line]]) -> list[Line]:
    return [line for lines in found.values() for line in lines]


def test_presses_that_name_no_message_have_a_line_for_each_message_that_they_click() -> None:
    presses = [Inbound(n * 12, AT_S + at_s, "alone") for n, at_s in ((b"i", 5), (b"j", 15))]
    sends = [seen([b"p1"], n * 12, AT_MS + at_ms) for n, at_ms in ((b"m", 0), (b"n", 10_000))]
    ledger = kept([*sends, *(seen([b"p1"], inbound=press) for press in presses)], [])

    clicked = ledger.of("c1", "clicked_implied")
    assert sorted((line.part.of, line.contact, line.events[1].at_ms - AT_MS) for line in clicked) == [
        ((b"m" * 12).hex(), "m" * 12, 5_000),
        ((b"n" * 12).hex(), "n" * 12, 15_000),
    ]


def of_calls(*events: Event) -> list[Keyed]:
    return [
        keyed for topic, body, headers in events for keyed in READERS[topic](body, as_bytes(headers)).facts
    ]


def as_bytes(headers: dict[str, str]) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in headers.items()]


THIRD = Channel("op3", "PJSIP/203-00000009", "a")
SECOND_LEG = Channel("b", "", "a")


def test_a_call_of_two_attempts_and_three_operators_legs_has_five_lines() -> None:
    legs = [(OPERATOR, "PJSIP/alice", 5, 9), (OTHER, "PJSIP/bob", 12, 15), (THIRD, "PJSIP/alice", 18, 21)]
    served = [
        event
        for leg, interface, start, end in legs
        for event in (
            *rings(start - 1, leg, by=CUSTOMERS_LEG),
            agent(start - 0.9, "Called", CUSTOMERS_LEG, leg, interface),
            *talk(start, end, CUSTOMERS_LEG, leg, bridge=f"b{start}"),
        )
    ]
    second = [send(contact="b"), *rings(1, SECOND_LEG), *answers(3, SECOND_LEG), hangup(30, SECOND_LEG)]
    joined = [enter(22, CUSTOMERS_LEG, "meet"), enter(22, SECOND_LEG, "meet"), leave(23, SECOND_LEG, "meet")]
    ledger = kept(of_calls(*queued_call(*served), *second, *joined), [])

    (lines,) = [of_call for (table, _), of_call in ledger.lines.items() if table == "calls"]
    attempts = {line.contact: line for line in lines if line.part.row.campaign}
    assert attempts.keys() == {"a", "b"}
    assert attempts["a"].part.counts["connects"] == 3
    assert (attempts["b"].leg, attempts["b"].phone) == ("b", "31600000001")
    of_operators = [line for line in lines if not line.part.row.campaign]
    assert sorted((line.contact, line.leg, line.part.row.template) for line in of_operators) == [
        ("a", "op", Template("pbx01", "PJSIP/alice")),
        ("a", "op2", Template("pbx01", "PJSIP/bob")),
        ("a", "op3", Template("pbx01", "PJSIP/alice")),
    ]
    assert {event.kind for event in attempts["a"].events} >= {"requested", "seen", "up", "join", "hangup"}


def test_calls_that_turn_out_to_be_one_have_the_lines_of_both_under_one_subject() -> None:
    first = [send(), *rings(0, CUSTOMERS_LEG), *answers(2, CUSTOMERS_LEG)]
    other = Channel("b")
    second = [send(contact="b"), *rings(1, other), *answers(3, other)]
    ledger = kept(of_calls(*first, *second), [1] * 20)
    assert len([key for table, key in ledger.lines if table == "calls"]) == 2

    ledger.fold(of_calls(dial("DialBegin", 5, other, CUSTOMERS_LEG)))

    ((_, lines),) = [one for one in ledger.lines.items() if one[0][0] == "calls"]
    assert sorted(line.contact for line in lines) == ["a", "b"]
    assert sums_of(ledger.all) == ledger.partition.counts()


def test_an_id_of_a_message_is_the_one_that_was_written() -> None:
    part, spelling = message_id(WAMID)

    assert spelling
    assert written_id(part, spelling) == WAMID
    assert kept([claimed("c1", AT_MS)], []).of("c1", "accepted")[0].part.row.template != FREE_FORM
