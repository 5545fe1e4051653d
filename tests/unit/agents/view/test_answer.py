"""Answers hold the sums of the rows in the published form."""

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.view.answer import campaign_answer, campaign_summary, rates, rfc_3339, shaped
from tally.agents.view.campaign import PartitionRow
from tally.agents.view.sums import Totals
from tally.schemas.bounds import TEMPLATES_SHOWN
from tally.schemas.counters import API_ORDER, DERIVED, DISTRIBUTIONS, MAPS, PLAIN, RATES, adds_up, numbers_of
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import Row
from tests.support.view_rows import COUNTS, FLAT, NEWS, PROMO, ROWS, TEMPLATES

CAMPAIGN_ROWS = st.dictionaries(st.tuples(st.integers(0, 7), TEMPLATES), ROWS, max_size=10).map(
    lambda rows: [(partition, RowKey("t1", "c1", t), row) for (partition, t), row in rows.items()]
)

WHATSAPP = (
    *("contacts", "attempts", "queued", "accepted", "failed_at_send", "skipped", "cancelled", "duplicates"),
    *(
        "claimed_elsewhere",
        "sent",
        "delivered",
        "delivered_implied",
        "delivered_late",
        "read",
        "read_late",
        "failed_after_send",
        "failed_then_delivered",
    ),
    *("failed", "in_flight", "contacts_accepted", "replied", "replied_last_touch", "replied_quoted"),
    *("clicked", "clicked_implied", "errors", "pricing", "pricing_delivered", "time_to_deliver"),
    "time_to_read",
)
VOICE = (
    *("contacts", "attempts", "queued", "failed_at_send", "skipped", "cancelled", "duplicates", "failed"),
    *("requested", "attempted", "answered", "busy", "no_answer", "rejected", "unreachable", "congestion"),
    *("call_cancelled", "call_failed", "ended_unknown", "answered_human", "answered_machine"),
    *("answered_unknown", "dropped", "connected_ms", "talk_ms", "hold_ms", "queue_wait_ms", "queue_joins"),
    *("queue_abandoned", "queue_timeouts", "queue_waiting", "connects", "ring_no_answer", "errors"),
    *("hangup_causes", "queues", "queue_waits"),
)
LISTED = {*WHATSAPP, *VOICE}
RATES_OF = {
    "whatsapp": ["delivery", "read", "reply", "failure", "click"],
    "voice": ["failure", "answer", "drop", "abandon"],
}

EXAMPLE = {
    **{
        "contacts": 4,
        "attempts": 4,
        "accepted": 3,
        "failed_at_send": 1,
        "sent": 3,
        "delivered": 2,
        "read": 2,
    },
    **{"failed_after_send": 1, "contacts_accepted": 3, "replied": 1, "replied_last_touch": 1},
    **{"errors.meta:131026": 1, "errors.meta:132000": 1, "pricing.marketing/regular": 2},
    "pricing_delivered.marketing/regular": 2,
    **{"time_to_deliver.3": 1, "time_to_deliver.negative": 1, "time_to_read.35": 2},
}
"""The example of the contract, as one template's row."""


def row(
    template: Template | None,
    counts: dict[str, int],
    partition: int = 0,
    labels: Any = (),
    channels: Any = (),
) -> PartitionRow:
    key = RowKey("t1", "c1", template)
    return PartitionRow(partition, key, Row(1, 0, 1, list(labels), counts, list(channels)))


def example_rows() -> list[PartitionRow]:
    own = {name: EXAMPLE[name] for name in ("contacts_accepted", "replied", "replied_last_touch")}
    return [row(PROMO, EXAMPLE), row(None, own)]


def summed(rows: list[PartitionRow]) -> Totals:
    totals = Totals()
    for _, key, row in rows:
        totals.add(key.template, row)
    return totals


def number(rows: list[PartitionRow], flat: str) -> int:
    """The definition: sums over templates, or row `*` where a counter does not add up over them."""
    of_templates = adds_up(flat.partition(".")[0])
    return sum(r.counts.get(flat, 0) for _, key, r in rows if (key.template is not None) is of_templates)


def listed(names: Iterable[str]) -> tuple[str, ...]:
    """Those names of an answer that are listed above; a counter that is new stands between them."""
    return tuple(name for name in names if name in LISTED)


def test_the_contracts_example_is_answered_as_the_contract_says() -> None:
    answer = campaign_answer(example_rows())
    assert answer["channel"] == "whatsapp"
    assert {name: answer["totals"][name] for name in WHATSAPP} == {
        **{"contacts": 4, "attempts": 4, "queued": 0, "accepted": 3, "failed_at_send": 1, "skipped": 0},
        **{"cancelled": 0, "duplicates": 0, "claimed_elsewhere": 0, "sent": 3, "delivered": 2},
        **{"delivered_implied": 0, "delivered_late": 0, "read": 2, "read_late": 0},
        **{"failed_after_send": 1, "failed_then_delivered": 0, "failed": 2, "in_flight": 0},
        **{"contacts_accepted": 3, "replied": 1, "replied_last_touch": 1, "replied_quoted": 0, "clicked": 0},
        "clicked_implied": 0,
        "errors": {"meta:131026": 1, "meta:132000": 1},
        "pricing": {"marketing/regular": 2},
        "pricing_delivered": {"marketing/regular": 2},
        "time_to_deliver": {"count": 1, "p50_ms": 3000, "p95_ms": 3000, "p99_ms": 3000, "negative": 1},
        "time_to_read": {"count": 2, "p50_ms": 35000, "p95_ms": 35000, "p99_ms": 35000, "negative": 0},
    }
    assert answer["rates"] == {
        "delivery": {"value": 0.6667, "of": "accepted"},
        "read": {"value": 1.0, "of": "delivered"},
        "reply": {"value": 0.3333, "of": "contacts_accepted"},
        "failure": {"value": 0.5, "of": "attempts"},
        "click": {"value": 0.0, "of": "delivered"},
    }
    (template,) = answer["templates"]
    assert template["template"] == {"name": "promo_nov", "language": "pt_BR", "ids": []}
    assert template["counters"] == answer["totals"]
    assert template["rates"] == answer["rates"]


@pytest.mark.parametrize(
    ("channels", "names", "rates_of"),
    [
        ([], WHATSAPP, RATES_OF["whatsapp"]),
        (["whatsapp"], WHATSAPP, RATES_OF["whatsapp"]),
        (["voice"], VOICE, RATES_OF["voice"]),
        (["voice", "whatsapp"], API_ORDER, [rate.name for rate in RATES]),
        (["of a later version"], WHATSAPP, RATES_OF["whatsapp"]),
    ],
)
def test_a_campaign_shows_what_concerns_its_channels_in_the_order_of_the_api(
    channels: list[str], names: tuple[str, ...], rates_of: list[str]
) -> None:
    rows = [row(NEWS, dict.fromkeys(FLAT, 1)), row(PROMO, {"contacts": 1}, 1, channels=channels)]
    answer, summary = campaign_answer(rows), campaign_summary(summed(rows), 0, 1)
    assert len(answer["templates"]) == 2
    for totals, found in (
        (answer["totals"], answer["rates"]),
        (summary["totals"], summary["rates"]),
        *((template["counters"], template["rates"]) for template in answer["templates"]),
    ):
        assert listed(totals) == listed(names)
        assert list(found) == rates_of


def test_the_channels_of_several_templates_are_those_of_the_campaign() -> None:
    rows = [
        row(NEWS, {"attempts": 1}, channels=["voice"]),
        row(PROMO, {"attempts": 1}, channels=["whatsapp"]),
    ]
    answer = campaign_answer(rows)
    assert tuple(answer["totals"]) == API_ORDER
    assert {tuple(template["counters"]) for template in answer["templates"]} == {API_ORDER}


def test_every_number_of_a_campaign_concerns_some_channel() -> None:
    assert set(numbers_of(frozenset({"whatsapp"}))) | set(numbers_of(frozenset({"voice"}))) == set(API_ORDER)
    assert set(API_ORDER) >= LISTED


@given(CAMPAIGN_ROWS)
def test_totals_are_sums_over_partitions_of_templates_or_of_the_campaigns_own_row(
    rows: list[PartitionRow],
) -> None:
    totals = campaign_answer(rows)["totals"]
    for name in totals.keys() & set(PLAIN):
        assert totals[name] == number(rows, name)
    for name in totals.keys() & set(MAPS):
        entries = {flat.partition(".")[2] for _, _, r in rows for flat in r.counts if flat.startswith(name)}
        expected = {entry: number(rows, f"{name}.{entry}") for entry in sorted(entries)}
        assert list(totals[name].items()) == [(entry, n) for entry, n in expected.items() if n]
    for name in totals.keys() & set(DISTRIBUTIONS):
        assert totals[name]["count"] == sum(number(rows, f"{name}.{bucket}") for bucket in ("1", "35", "50"))
        assert totals[name]["negative"] == number(rows, f"{name}.negative")


@given(CAMPAIGN_ROWS)
def test_derived_numbers_follow_their_formula(rows: list[PartitionRow]) -> None:
    totals = campaign_answer(rows)["totals"]
    for derived in DERIVED:
        plus, minus = (sum(number(rows, name) for name in names) for names in (derived.plus, derived.minus))
        assert totals.get(derived.name, plus - minus) == plus - minus


@given(CAMPAIGN_ROWS)
def test_a_template_is_the_sum_of_its_partitions_and_templates_add_up_to_the_campaign(
    rows: list[PartitionRow],
) -> None:
    answer = campaign_answer(rows)
    for shown in answer["templates"]:
        template = Template(shown["template"]["name"], shown["template"]["language"])
        own = [r for _, key, r in rows if key.template == template]
        for name in shown["counters"].keys() & set(PLAIN):
            assert shown["counters"][name] == sum(r.counts.get(name, 0) for r in own)
    for name in answer["totals"].keys() & set(PLAIN):
        if adds_up(name):
            assert answer["totals"][name] == sum(t["counters"][name] for t in answer["templates"])


@given(CAMPAIGN_ROWS)
def test_the_order_in_which_rows_came_does_not_matter(rows: list[PartitionRow]) -> None:
    assert repr(campaign_answer(rows)) == repr(campaign_answer(rows[::-1]))


@given(CAMPAIGN_ROWS)
def test_a_list_shows_the_same_totals_and_rates_as_the_campaign(rows: list[PartitionRow]) -> None:
    answer, summary = campaign_answer(rows), campaign_summary(summed(rows), 0, 1500)
    assert {name: summary[name] for name in ("channel", "totals", "rates")} == {
        name: answer[name] for name in ("channel", "totals", "rates")
    }
    assert summary["first_activity"] == "1970-01-01T00:00:00.000Z"
    assert summary["last_activity"] == "1970-01-01T00:00:01.500Z"


def test_templates_are_sorted_by_name_and_language_and_zeros_are_hidden() -> None:
    free, portuguese = Template(), Template("news", "pt_BR")
    rows = [
        *(row(template, {"contacts": 1}) for template in (PROMO, portuguese, NEWS, free)),
        row(Template("gone", "de"), {}),
        row(Template("gone", "de"), {}, partition=1),
        row(None, {"replied": 1}),
    ]
    names = [(t["template"]["name"], t["template"]["language"]) for t in campaign_answer(rows)["templates"]]
    assert names == [("", ""), ("news", "en_US"), ("news", "pt_BR"), ("promo_nov", "pt_BR")]


def test_a_templates_ids_are_the_smallest_of_all_partitions() -> None:
    rows = [
        row(PROMO, {"contacts": 1}, 0, [f"id-{n}" for n in range(0, 16, 2)]),
        row(PROMO, {"contacts": 1}, 1, [f"id-{n}" for n in range(1, 9)]),
        row(NEWS, {"contacts": 1}, 1, ["other"]),
    ]
    (promo,) = [t for t in campaign_answer(rows)["templates"] if t["template"]["name"] == "promo_nov"]
    assert (
        promo["template"]["ids"]
        == sorted({f"id-{n}" for n in range(0, 16, 2)} | {f"id-{n}" for n in range(1, 9)})[:8]
    )


@pytest.mark.parametrize("count", [TEMPLATES_SHOWN.most + n for n in (-1, 0, 1, 250)])
@pytest.mark.parametrize("channel", ["whatsapp", "voice"])
def test_beyond_its_bound_an_answer_shows_the_smallest_templates_and_the_others_as_one(
    count: int, channel: str
) -> None:
    rows = [
        row(Template(f"t{n:05}", "de"), EXAMPLE | {"talk_ms": n}, n % 3, channels=[channel])
        for n in range(count)
    ]
    gone = [row(Template(f"a{n:05}", "de"), {}) for n in range(5)]  # came to zeros: nothing of them shows
    Random(count).shuffle(rows)
    answer, most = campaign_answer([*rows, *gone, row(None, {"replied": 9})]), TEMPLATES_SHOWN.most
    names = [one["template"]["name"] for one in answer["templates"]]
    assert names == [f"t{n:05}" for n in range(min(count, most))]
    assert answer["totals"]["contacts"] == 4 * count
    if count <= most:
        assert "templates_more" not in answer
        return
    more = answer["templates_more"]
    assert more["templates"] == count - most
    for name, number in more["counters"].items():
        if isinstance(number, int):
            shown = sum(one["counters"][name] for one in answer["templates"])
            assert number == answer["totals"][name] - shown
    # Distinct customers of several templates are in no row.
    assert answer["totals"].keys() - more["counters"].keys() == (
        {"contacts_accepted", "replied", "replied_last_touch"} if channel == "whatsapp" else set()
    )
    assert more["rates"].keys() == answer["rates"].keys() - {"reply"}


def test_an_error_code_may_hold_a_dot() -> None:
    shown = shaped({"errors.platform:1.5": 2}, ["errors"])
    assert shown["errors"] == {"platform:1.5": 2}


def test_a_counter_that_this_version_does_not_know_is_not_shown() -> None:
    rows = [row(PROMO, {"contacts": 1, "invented": 3, "invented_map.x": 1}), row(None, {"invented": 2})]
    totals = campaign_answer(rows)["totals"]
    assert listed(totals) == WHATSAPP
    assert set(totals) <= set(API_ORDER)


@given(COUNTS)
def test_a_rate_is_null_where_nothing_is_below_the_line(counts: dict[str, int]) -> None:
    shown = shaped(counts, API_ORDER)
    found = rates(shown)
    for rate in RATES:
        value = found[rate.name]["value"]
        assert found[rate.name]["of"] == rate.denominator
        if shown[rate.denominator] == 0:
            assert value is None
        else:
            # Half of the last digit, and a little, since floats cannot hold every half.
            assert value == pytest.approx(shown[rate.numerator] / shown[rate.denominator], abs=0.000051)


@given(st.integers(0, 253_402_300_799_999))
def test_times_are_written_to_the_millisecond_in_utc(at_ms: int) -> None:
    text = rfc_3339(at_ms)
    assert len(text) == 24
    assert text.endswith("Z")
    assert int(text[20:23]) == at_ms % 1000


def test_a_known_time_is_written_as_the_contract_does() -> None:
    assert rfc_3339(1_795_350_876_120) == "2026-11-22T12:34:36.120Z"


@pytest.mark.parametrize(
    ("channels", "shown"),
    [([], "whatsapp"), (["voice"], "voice"), (["whatsapp"], "whatsapp"), (["voice", "whatsapp"], "whatsapp")],
)
def test_a_campaign_is_of_the_channel_that_its_attempts_went_over(channels: list[str], shown: str) -> None:
    row = Row(1, 0, 1, [], {"attempts": 1}, channels)

    assert campaign_answer([(0, RowKey("t", "c", Template("script")), row)])["channel"] == shown
