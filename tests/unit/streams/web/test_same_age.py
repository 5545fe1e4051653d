"""Shares by age: each of the messages that are old enough, beside the quartiles of other campaigns."""

from tally.streams.web.same_age import answered
from tally.tables.durations import AGES
from tally.tables.postgres.same_age import Age


def campaign(*ages: Age) -> list[Age]:
    return [*ages, *(Age() for _ in AGES[len(ages) :])]


def test_a_share_is_of_the_messages_that_are_old_enough() -> None:
    answer = answered("spring", {"spring": campaign(Age(8, 2, 1), Age(4, 3, 1))})

    first, second, third = answer["ages"][:3]
    assert (first["age_seconds"], first["accepted"], first["delivered"], first["read"]) == (10, 8, 2, 1)
    assert (first["delivered_share"], first["read_share"]) == (0.25, 0.125)
    assert (second["accepted"], second["delivered_share"]) == (4, 0.75)
    assert (third["accepted"], third["delivered_share"], third["read_share"]) == (0, None, None)
    assert first["earlier"] == {
        "campaigns": 0,
        "delivered_share": {"p25": None, "p50": None, "p75": None},
        "read_share": {"p25": None, "p50": None, "p75": None},
    }


def test_the_median_and_band_are_those_of_campaigns_that_have_messages_of_that_age() -> None:
    others = {f"c{nth}": campaign(Age(10, nth, 0)) for nth in (1, 2, 3, 4)}

    answer = answered("spring", {"spring": campaign(Age(3, 1, 0)), **others, "young": campaign()})

    assert answer["earlier"] == ["c1", "c2", "c3", "c4", "young"]
    assert answer["ages"][0]["earlier"] == {
        "campaigns": 4,
        "delivered_share": {"p25": 0.1, "p50": 0.2, "p75": 0.3},
        "read_share": {"p25": 0.0, "p50": 0.0, "p75": 0.0},
    }
    assert answer["ages"][1]["earlier"]["campaigns"] == 0


def test_a_campaign_that_nobody_knows_has_no_shares() -> None:
    answer = answered("nobody", {})

    assert [age["age_seconds"] for age in answer["ages"]] == list(AGES)
    assert {age["delivered_share"] for age in answer["ages"]} == {None}
