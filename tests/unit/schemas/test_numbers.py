"""Owners of business numbers: a send result of another tenant changes no number."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.conventions import Conventions
from tally.schemas.grains import RowKey
from tally.schemas.numbers import UNREADABLE, BadNumber, Number, Numbers, encode, numbers_of, read_number
from tally.schemas.records import Keyed, Routed
from tally.schemas.sources import READERS
from tally.tables.rules import Rules
from tests.support.partition import MemoryPartition
from tests.unit.schemas.sends.test_full import ACCEPTED

OWNED = ACCEPTED["phone_number_id"]
CONVENTIONS = Conventions(numbers=Numbers({OWNED: "a", "2": "b"}))
TENANTS = ("a", "b", "c")


def routed(reading: Conventions = CONVENTIONS, **fields: Any) -> Routed:
    return READERS["send-results"](orjson.dumps(ACCEPTED | fields), (), reading, None)


@pytest.mark.parametrize("outcome", ["accepted", "queued", "cancelled"])
def test_only_its_tenant_says_something_of_a_number_and_of_others_everybody(outcome: str) -> None:
    said: dict[str, Any] = {"outcome": outcome, "reason": "x"}

    assert not routed(CONVENTIONS, tenant="a", **said).bad
    assert [bad.where for bad in routed(CONVENTIONS, tenant="b", **said).bad] == [
        "foreign_number at $.phone_number_id"
    ]
    assert not routed(CONVENTIONS, tenant="b", **said).facts
    assert not routed(CONVENTIONS, tenant="b", phone_number_id="3", **said).bad
    assert not routed(Conventions(), tenant="b", **said).bad


def test_a_voice_attempt_has_no_number_of_whatsapp() -> None:
    assert not routed(tenant="b", channel="voice", outcome="queued").bad


SENDS = st.lists(
    st.fixed_dictionaries(
        {
            "tenant": st.sampled_from(TENANTS),
            "phone_number_id": st.sampled_from((OWNED, "2", "3")),
            "message_id": st.sampled_from(("w1", "w2")),
            "time": st.sampled_from((1_795_350_873_904, 1_230_768_000_000)),
            "campaign": st.sampled_from(("c", None)),
        }
    ),
    max_size=12,
)


def rows_of(tenant: str, sends: list[dict[str, Any]]) -> dict[bytes, dict[str, int]]:
    facts: list[Keyed] = [keyed for send in sends for keyed in routed(CONVENTIONS, **send).facts]
    partition = MemoryPartition()
    partition.fold(facts, Rules())
    return {key: counts for key, counts in partition.counts().items() if RowKey.decode(key).tenant == tenant}


@given(SENDS)
def test_no_send_result_of_another_tenant_for_a_number_of_ones_own_moves_a_row(
    sends: list[dict[str, Any]],
) -> None:
    foreign = [send for send in sends if send["phone_number_id"] == OWNED and send["tenant"] != "a"]

    assert rows_of("a", sends) == rows_of("a", [send for send in sends if send not in foreign])


def test_a_number_reads_back_and_its_tenant_is_written_as_in_send_results() -> None:
    tenant = "550E8400-E29B-41D4-A716-446655440000"

    assert read_number(b"1", encode(Number("7", "0", "Sales"))) == ("1", Number("7", "0", "Sales"))
    assert read_number(b"1", encode(Number(tenant))) == ("1", Number(tenant.lower()))
    assert read_number(b"1", None) == ("1", None)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (None, b'{"tenant":"a"}', "wrong_key"),
        (b"", b'{"tenant":"a"}', "wrong_key"),
        (b"\xff", b'{"tenant":"a"}', "wrong_key"),
        (b"1", b"{}", "wrong_type"),
        (b"1", b'{"tenant":""}', "bad_id"),
        (b"1", b'{"tenant":7}', "wrong_type"),
        (b"1", b'{"tenant":"secret","colour":"red"}', "wrong_type"),
        (b"1", b"secret", "not_json"),
        (b"1", b"", "not_json"),
        (b"1", b'{"tenant":"\xff"}', "not_json"),
        (b"1", b"[" * 100_000, "wrong_type"),
        (b"1", b'{"tenant":' * 100_000, "wrong_type"),
    ],
)
def test_what_is_no_number_says_what_is_wrong_and_never_what_came(
    key: bytes | None, value: bytes, reason: str
) -> None:
    with pytest.raises(BadNumber) as raised:
        read_number(key, value)
    assert (raised.value.number_id, raised.value.bad.reason) == (
        None if reason == "wrong_key" else "1",
        reason,
    )
    assert not {word for word in ("secret", "colour", "red") if word in str(raised.value)}


def test_a_number_whose_record_cannot_be_read_is_nobodys() -> None:
    numbers = numbers_of({OWNED: UNREADABLE, "2": Number("b")})

    assert [bad.where for bad in routed(Conventions(numbers=numbers), tenant="a").bad] == [
        "foreign_number at $.phone_number_id"
    ]
    assert not routed(Conventions(numbers=numbers), tenant="b", phone_number_id="2").bad
    assert all(OWNED not in numbers.of_tenant(tenant) for tenant in TENANTS)


def test_a_number_may_have_a_limit_and_the_zone_of_its_account() -> None:
    said = Number("a", per_second=80, timezone="America/Sao_Paulo")

    assert read_number(b"1", encode(said)) == ("1", said)
    for value in (
        b'{"tenant":"a","per_second":0}',
        b'{"tenant":"a","per_second":1000001}',
        b'{"tenant":"a","per_second":"80"}',
        b'{"tenant":"a","timezone":"CEST"}',
        b'{"tenant":"a","timezone":""}',
    ):
        with pytest.raises(BadNumber):
            read_number(b"1", value)


def test_of_a_number_with_several_ids_the_latest_id_that_says_something_is_believed() -> None:
    known = {
        "1": Number("a", name="Sales", per_second=80, timezone="Europe/Amsterdam"),
        "2": Number("a", successor_of="1", per_second=500),
        "3": Number("a", successor_of="2", name="Shop"),
        "9": Number("b", per_second=7),
    }

    numbers = numbers_of(known)
    assert list(numbers.of_tenant("a")) == ["1"]
    of_it = numbers.of_tenant("a")["1"]
    assert (of_it.name, of_it.per_second, of_it.timezone) == ("Shop", 500, "Europe/Amsterdam")
    assert numbers.of_tenant("b") == {"9": Number("b", per_second=7)}
    assert numbers.of_tenant("c") == {}


def test_ids_that_come_back_to_themselves_are_numbers_of_their_own() -> None:
    known = {"1": Number("a", successor_of="2", name="One"), "2": Number("a", successor_of="1", name="Two")}

    assert {one: number.name for one, number in numbers_of(known).of_tenant("a").items()} == {
        "1": "One",
        "2": "Two",
    }
