"""A live campaign has the requested number and rate of sends, and their events follow each send."""

import json
from collections import Counter
from random import Random

import pytest

from tally.schemas.conventions import CONVENTIONS
from tally.schemas.sources import READERS
from tally.simulator.live import PER_SECOND, SENDS, STEP_S, live
from tally.simulator.records import SEND_RESULTS, WEBHOOK_EVENTS

START_S = 1_795_350_000
LATE = (START_S + 90 * 86_400) * 1000


@pytest.mark.parametrize("seed", range(5))
def test_there_are_as_many_sends_as_asked_for_and_no_second_has_more_than_its_share(seed: int) -> None:
    due = live(Random(seed), START_S)

    sends = [one for one in due if one.is_send]
    assert len(sends) == SENDS
    assert all(json.loads(one.record.value or b"")["outcome"] in ("accepted", "failed") for one in sends)
    # A second attempt comes a little later than its first, into the share of others.
    assert max(Counter(int(one.at_s) for one in sends).values()) <= 1.15 * PER_SECOND
    assert [one.at_s for one in due] == sorted(one.at_s for one in due)
    assert due[0].at_s >= 0.0
    assert sends[-1].at_s <= SENDS / PER_SECOND + 10 * STEP_S


def test_all_of_it_can_be_read_and_comes_of_both_topics() -> None:
    due = live(Random(1), START_S, sends=80)

    read = [READERS[one.record.topic](one.record.value, {}, CONVENTIONS, LATE) for one in due]
    assert [bad for one in read for bad in one.bad] == []
    assert {one.record.topic for one in due} == {SEND_RESULTS, WEBHOOK_EVENTS}


def test_the_same_seed_gives_the_same_campaign() -> None:
    assert live(Random(7), START_S, sends=40) == live(Random(7), START_S, sends=40)
