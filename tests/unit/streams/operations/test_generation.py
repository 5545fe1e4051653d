"""The advice of doctor and `tally generation raise` if Postgres shows another generation."""

from tally.streams.operations.generation import advice


def test_a_later_generation_is_one_that_was_left_and_an_earlier_one_waits_to_be_raised() -> None:
    assert (
        advice(2, 1) == "Postgres shows generation 2, this is 1, which has been left: set TALLY_GENERATION=2"
    )
    assert advice(1, 2) == (
        "Postgres shows generation 1, this is 2: `tally generation raise` when it has caught up"
    )
