"""`tally watch` says how fast a campaign goes, and when it will be done."""

import pytest

from tally.agents.view.pace import MOST_PACES, Pace, Paces, Progress, progress_of
from tally.streams.cli.watch import is_due, line

TOTALS = {"contacts": 1_300, "queued": 40, "accepted": 1_250, "attempted": 0, "failed": 12}
ENTRY = {
    "campaign": "c1",
    "channel": "whatsapp",
    "name": "November",
    "status": "running",
    "planned": 25_000,
    "totals": TOTALS,
}


def test_a_campaign_stands_where_its_numbers_and_its_description_say() -> None:
    assert progress_of(ENTRY) == Progress("November", "running", 25_000, 1_250, 12, 1_260)
    assert progress_of(ENTRY).left == 23_740
    unnamed = {**ENTRY, "name": None, "status": None, "planned": None}
    assert progress_of(unnamed) == Progress("c1", "", None, 1_250, 12, 1_260)
    assert progress_of(unnamed).left is None
    assert progress_of({**ENTRY, "planned": 7}).left == 0


def test_of_a_voice_campaign_what_was_dialled_is_done_though_it_stays_queued() -> None:
    totals = TOTALS | {"queued": 1_300, "attempted": 900}
    found = progress_of({**ENTRY, "channel": "voice", "totals": totals})
    assert (found.sent, found.done, found.left) == (900, 900, 24_100)


def test_the_pace_is_that_of_the_last_seconds_and_minute() -> None:
    pace = Pace()
    assert pace.per_second(10) is None
    for second in range(121):
        pace.saw(float(second), 80 * second if second < 100 else 8_000)

    assert pace.per_second(10) == 0
    assert pace.per_second(60) == pytest.approx(80 * 40 / 60)
    assert pace.seconds_left(1_600) == pytest.approx(30)
    assert pace.seconds_left(0) == 0
    assert pace.seconds_left(None) is None


def test_before_a_minute_has_passed_the_pace_is_that_of_what_was_seen() -> None:
    pace = Pace()
    pace.saw(5.0, 0)
    pace.saw(7.0, 100)

    assert pace.per_second(10) == pace.per_second(60) == 50


def test_one_that_stands_still_or_loses_some_has_no_end_in_sight() -> None:
    pace = Pace()
    pace.saw(0.0, 10)
    pace.saw(1.0, 10)
    assert pace.seconds_left(5) is None
    pace.saw(2.0, 9)
    assert pace.seconds_left(5) is None


@pytest.mark.parametrize(
    ("sent", "failed", "seconds", "due"),
    [(49, 0, 0.9, False), (50, 0, 0.3, True), (1, 0, 1.0, True), (0, 1, 1.0, True), (0, 0, 60.0, False)],
)
def test_a_line_is_due_every_fifty_messages_or_second_in_which_it_moves(
    sent: int, failed: int, seconds: float, due: bool
) -> None:
    told = Progress("n", "", None, 100, 0, 100)

    assert is_due(Progress("n", "", None, 100 + sent, failed, 100), told, seconds) is due
    assert is_due(told, None, 0.0)


def test_a_line_has_all_that_is_known() -> None:
    pace = Pace()
    pace.saw(0.0, 1_160)
    pace.saw(1.0, 1_260)

    assert line(progress_of(ENTRY), pace, 3_725.4) == (
        "November (running)  sent 1,250 of 25,000  failed 12  100.0/s in 10 s  100.0/s in 1 min  "
        "elapsed 1:02:05  done in 0:03:57"
    )
    unnamed = Progress("c1", "", None, 0, 0, 0)
    assert line(unnamed, Pace(), 0.0) == "c1  sent 0  failed 0  -/s in 10 s  -/s in 1 min  elapsed 0:00:00"


def test_looks_that_follow_each_other_at_once_are_one() -> None:
    pace = Pace()
    for look in range(100_000):
        pace.saw(look / 1_000, look)

    assert len(pace._seen) < 1_000
    assert pace.per_second(10) == pytest.approx(1_000, rel=0.01)


def test_the_paces_of_the_campaigns_that_were_asked_for_last_are_kept() -> None:
    paces = Paces()
    for campaign in range(MOST_PACES + 1):
        paces.saw("t1", str(campaign), 0.0, 0)

    assert paces.saw("t1", str(MOST_PACES), 1.0, 5).per_second(10) == 5
    assert paces.saw("t1", "0", 1.0, 5).per_second(10) is None
