"""Medians, spreads, percentiles, and the progress of a round."""

import pytest

from bench.figures import Spread, percentile
from bench.freshness import delay
from bench.machine import cpu_model
from bench.tally_round import expected_seconds
from bench.throughput_figures import FAUST, QUIX, TALLY
from tests.support import bench_figures as figures


def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed() -> None:
    values = [float(value) for value in range(100, 0, -1)]

    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7.0


def test_a_delay_is_told_in_milliseconds_with_its_slowest_hundredth() -> None:
    found = delay([0.010] * 98 + [0.5, 0.9])

    assert (found.p50_ms, found.p99_ms, found.probes) == (10, 500, 100)


def test_a_spread_has_the_round_in_the_middle_and_both_ends() -> None:
    assert Spread.of([30.0, 10.0, 20.0]) == Spread(20, 10, 30)
    assert str(Spread.of([30_000.0, 10_000.0])) == "20,000 (10,000 to 30,000)"


def test_ratios_are_of_medians_whatever_the_best_round_was() -> None:
    found = figures.throughput(faust=500)

    assert found.median_per_second == pytest.approx(40_000)
    assert found.times(FAUST) == pytest.approx(80)
    assert found.times(TALLY) == 1


def test_cpu_is_told_by_process_in_microseconds_an_event() -> None:
    assert figures.measured(1_000, 2_000, cpu_us=42).cpu_us() == {"process": pytest.approx(42)}
    assert figures.throughput().contenders[TALLY].cpu_us()["fold"] == pytest.approx(20)
    assert figures.throughput().contenders[TALLY].whole_cpu_us == pytest.approx(30)


def test_cpu_of_two_contenders_is_compared_with_all_their_processes() -> None:
    assert figures.throughput(quix_us=60).cpu_times(QUIX) == pytest.approx(0.5)


def test_what_was_seen_before_its_acknowledgement_took_no_time() -> None:
    assert delay([-0.001, -0.001]).p99_ms == 0


def test_the_rest_of_a_round_is_expected_at_the_pace_so_far() -> None:
    assert expected_seconds(taken=25, events=100, past_s=2) == 6
    assert expected_seconds(taken=100, events=100, past_s=2) == 0
    assert expected_seconds(taken=130, events=100, past_s=2) == 0


def test_while_nothing_is_taken_the_rest_is_expected_to_take_long() -> None:
    assert expected_seconds(taken=0, events=100, past_s=2) == 200


def test_the_cpu_is_named_by_its_model_and_by_nothing_else_of_the_machine() -> None:
    assert (
        cpu_model("processor\t: 0\nmodel name\t: Some  CPU @ 2.0GHz\nmodel name\t: x\n")
        == "Some CPU @ 2.0GHz"
    )
    assert cpu_model("processor : 0\nBogoMIPS : 50.00\n") == "a CPU that does not say its model"
