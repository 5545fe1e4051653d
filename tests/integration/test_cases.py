"""WhatsApp inputs from the field and their right values, by the fold and by the recount in plain SQL."""

import json
from pathlib import Path
from typing import Any

import pytest

from tally.schemas.numbers import Number
from tally.simulator.records import SEND_RESULTS, WEBHOOK_EVENTS, RawRecord
from tests.integration.test_fold_against_recount import answers, folded, recounted

CASES = Path(__file__).parents[1] / "samples" / "cases"
CAMPAIGN = ("t1", "c1")
RIGHT: dict[str, dict[str, Any]] = {
    # An id of a group is a name, compared whole; its digits are nobody's phone.
    "wa-50-groups": {"accepted": 50, "contacts_accepted": 50},
    # A press that names no message is of the last template message.
    "wa-button-without-context": {"read": 1, "replied": 1, "clicked": 1, "clicked_implied": 1},
    # Somebody answers from the phone's app: no reply of the customer, and no status of the campaign.
    "wa-coexistence-echo": {"accepted": 1, "sent": 0, "delivered": 0, "replied": 0, "in_flight": 1},
    # One part that cannot be read beside good ones.
    "wa-contacts-text": {"delivered": 1, "replied": 1},
    # Codes that Meta uses and does not list.
    "wa-error-130501": {"failed": 1, "errors": {"meta:130501": 1}},
    "wa-error-131036": {"failed": 1, "errors": {"meta:131036": 1}},
    # What a customer writes in a group is no reply to what was sent to him alone.
    "wa-group-chatter-credited": {"replied": 0},
    # A participant answers in the group what was sent to the group.
    "wa-group-reply": {"replied": 1, "replied_quoted": 1},
    # The statuses of a group have their price in `conversation`.
    "wa-group-statuses": {
        **{"accepted": 1, "delivered": 1, "read": 1, "contacts_accepted": 1},
        "pricing": {"group_marketing/unknown": 1},
    },
    # The click of a link names no message, so it is nobody's.
    "wa-link-click": {"accepted": 1, "clicked": 0, "clicked_implied": 0, "replied": 0},
    # The number moved to another account: it has another id, the display number and the wamid are the same.
    "wa-number-migrated": {"read": 1, "replied": 1, "replied_quoted": 1},
    # The status of a payment names the message that asked for it.
    "wa-payment-failed-same-id": {"sent": 1, "failed": 0, "in_flight": 1},
    # A quote under the other id of the same message.
    "wa-scoped-wamid-quote": {"delivered": 1, "replied": 1, "replied_quoted": 1},
}


NUMBERS = {"wa-number-migrated": {"200000000000002": Number("t1", successor_of="106540352242922")}}
"""What the topic `numbers` says, of cases where it says something."""


def records(case: str) -> list[RawRecord]:
    told = json.loads((CASES / f"{case}.json").read_text())
    of_topics = ((SEND_RESULTS, told["sends"]), (WEBHOOK_EVENTS, told["webhooks"]))
    return [
        RawRecord(topic, None, json.dumps(body).encode()) for topic, bodies in of_topics for body in bodies
    ]


def test_every_case_has_its_right_value() -> None:
    assert {path.stem for path in CASES.glob("wa-*.json")} == RIGHT.keys()


@pytest.mark.asyncio
@pytest.mark.parametrize("case", RIGHT)
async def test_the_case_is_counted_right(database: str, case: str) -> None:
    raw, right, numbers = records(case), RIGHT[case], NUMBERS.get(case, {})

    for counted in (answers(folded(raw, numbers)), await recounted(database, raw, numbers=numbers)):
        assert {name: counted[CAMPAIGN][name] for name in right} == right
