"""Calls from the field and their right values, by the fold and by the recount in plain SQL."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.call_judges import Recount
from tests.support.call_packets import PBX, Event

CASES = Path(__file__).parents[1] / "samples" / "cases"
Right = tuple[dict[str, Any], dict[str, dict[str, int]]]
"""What the campaign counts, and what each operator counts."""
RIGHT: dict[str, Right] = {
    # A second queue that the customer was passed to by another channel's join: no abandon rate exceeds 1.
    "asterisk-759-the-same-customer-gives-up-in-the-second-queue": (
        {
            **{"queue_joins": 2, "queue_abandoned": 1, "connects": 1},
            "queues": {
                **{"1501/joins": 1, "1501/wait_ms": 9_100, "1501/connects": 1, "1501/talk_ms": 119_910},
                **{"1509/joins": 1, "1509/abandoned": 1},
            },
        },
        {"PJSIP/7009": {"connects": 1, "talk_ms": 119_910}},
    ),
    # Two callers of one operator, both parked in one lot: 10 s before it and 10 s after it.
    "asterisk-java-330-two-parked-calls-in-one-lot-operator-with-a-permanen": (
        {"connected_ms": 99_200, "connects": 1, "talk_ms": 20_000},
        {"PJSIP/300": {"connects": 1, "talk_ms": 20_000}},
    ),
    # The dialler hung up, with a cause of its choice.
    "dialler-hangs-up-while-ringing-hangup-cause-16": ({"call_cancelled": 1, "no_answer": None}, {}),
    "dialler-hangs-up-while-ringing-hangup-cause-26": ({"call_cancelled": 1, "no_answer": None}, {}),
    # The member's phone passed the call on; its Local channel dialled an outside party after that.
    "freepbx-124-transfer-behind-a-local-that-is-not-optimised": (
        {
            **{"connected_ms": 668_600, "connects": 2, "talk_ms": 659_900},
            "queues": {
                "sales/joins": 1,
                "sales/wait_ms": 3_200,
                "sales/connects": 1,
                "sales/talk_ms": 59_900,
            },
        },
        {
            "Local/201@from-queue/n": {"connects": 1, "talk_ms": 59_900},
            "PJSIP/trunk": {"connects": 1, "talk_ms": 600_000},
        },
    ),
}


def events(case: str) -> list[Event]:
    packets = (CASES / f"ami-{case}.ami").read_bytes().split(b"\r\n\r\n")
    sends = json.loads((CASES / f"ami-{case}.sends.json").read_text())
    return [
        *(("send-results", json.dumps(send).encode(), {}) for send in sends),
        *(("ami-events", packet, {"pbx": PBX}) for packet in packets if packet.strip()),
    ]


def test_every_case_has_its_right_value() -> None:
    assert {path.stem.removeprefix("ami-") for path in CASES.glob("*.ami")} == RIGHT.keys()


@pytest.mark.parametrize("case", RIGHT)
def test_the_call_is_counted_right(recount: Recount, case: str) -> None:
    campaign, operators = RIGHT[case]
    stats = recount(*events(case))

    assert {name: stats["c1"].get(name) for name in campaign} == campaign
    assert stats.operators == operators
