"""A press of a quick reply that names no message clicks the last template message, for fold and plain SQL."""

import random
import re
from typing import Any

import pytest

from tally.simulator.records import RawRecord
from tests.integration.test_fold_against_recount import answers, folded, recounted
from tests.support.whatsapp_events import NOW, PHONE, WEEK, Event, hook, inbound, send

WINDOW_END = NOW + WEEK
CLICKED, IMPLIED, NOTHING = (1, 0), (1, 1), (0, 0)


def press(at_s: int = NOW + 60, wamid: str = "in1", sender: str = PHONE, **more: Any) -> Event:
    return hook(messages=[{"id": wamid, "from": sender, "type": "button", "timestamp": str(at_s), **more}])


def naming(wamid: str) -> dict[str, Any]:
    return {"context": {"from": "15550783881", "id": wamid}}


SENT = send(message_id="w1")
GROUP = "Y2FwaV9ncm91cDox"
CASES: dict[str, tuple[list[Event], tuple[int, int]]] = {
    "of the only message": ([SENT, press()], IMPLIED),
    "in the second of the send": ([SENT, press(NOW)], IMPLIED),
    "before the send": ([SENT, press(NOW - 1)], NOTHING),
    "at the end of the window": ([SENT, press(WINDOW_END)], IMPLIED),
    "behind the window": ([SENT, press(WINDOW_END + 1)], NOTHING),
    "of one who got nothing": ([SENT, press(sender="31600000009")], NOTHING),
    "of a free-form message": ([send(message_id="w1", template=None), press()], NOTHING),
    "past a free-form message": (
        [SENT, send(message_id="w2", at=NOW + 9, template=None), press()],
        IMPLIED,
    ),
    "of a later service template": (
        [SENT, send(message_id="w2", at=NOW + 9, campaign=None), press()],
        NOTHING,
    ),
    "past a free-form service message": (
        [SENT, send(message_id="w2", at=NOW + 9, campaign=None, template=None), press()],
        IMPLIED,
    ),
    "of a campaign's and a service template of one second": (
        [SENT, send(message_id="w2", campaign=None), press()],
        IMPLIED,
    ),
    "behind a later template of another campaign": (
        [SENT, send(message_id="w2", at=NOW + 9, campaign="c2"), press()],
        NOTHING,
    ),
    "of the larger campaign of one second": ([SENT, send(message_id="w2", campaign="c0"), press()], IMPLIED),
    "twice": ([SENT, press(), press(NOW + 90, "in2")], IMPLIED),
    "and one that names it": ([SENT, press(), press(NOW + 90, "in2", **naming("w1"))], CLICKED),
    "that names the message in another copy": ([SENT, press(), press(**naming("w1"))], CLICKED),
    "that names a message of nobody": ([SENT, press(**naming("w9"))], NOTHING),
    "whose context has no id": ([SENT, press(context={"forwarded": True})], IMPLIED),
    "whose context cannot be read": ([SENT, press(context="x")], IMPLIED),
    "of either of two equal messages": ([SENT, send(message_id="w0"), press()], IMPLIED),
    "of the one that is clicked of two equal messages": (
        [SENT, send(message_id="w0"), press(), press(NOW, "in2", **naming("w0"))],
        CLICKED,
    ),
    "of the other one that is clicked of two equal messages": (
        [SENT, send(message_id="w0"), press(), press(NOW, "in2", **naming("w1"))],
        CLICKED,
    ),
    "that another copy shows earlier": ([SENT, press(WINDOW_END + 9), press(NOW + 9)], IMPLIED),
    "that another copy shows as a text before the send": (
        [SENT, press(), press(NOW - 9, type="text")],
        NOTHING,
    ),
    "of an interactive message": ([SENT, inbound(NOW + 60, "interactive")], NOTHING),
    "in a group": (
        [send(message_id="w1", contact={"id": "a", "phone": GROUP}), press(group_id=GROUP)],
        IMPLIED,
    ),
    "in a group, of one who got a template alone": ([SENT, press(group_id=GROUP)], NOTHING),
    "of one whom nobody knows": ([SENT, press(sender="")], NOTHING),
    "of the only contact": (
        [
            SENT,
            hook(
                messages=[{"id": "in", "type": "button", "timestamp": f"{NOW + 60}"}],
                contacts=[{"wa_id": PHONE}],
            ),
        ],
        IMPLIED,
    ),
}


def records(nth: int, events: list[Event]) -> list[RawRecord]:
    """Return the events of a case, with a tenant and a business number of their own."""
    own = [(topic, re.sub(rb'"([tn])1"', rb'"\g<1>%d"' % nth, value or b"")) for topic, value in events]
    return [RawRecord(topic, None, value) for topic, value in own]


@pytest.mark.asyncio
async def test_a_press_without_context(database: str) -> None:
    raw = [one for nth, (events, _) in enumerate(CASES.values()) for one in records(nth, events)]
    shuffled = random.Random(1).sample(raw, len(raw))
    right = {case: clicks for case, (_, clicks) in CASES.items()}

    for counted in (answers(folded(raw)), answers(folded(shuffled)), await recounted(database, raw)):
        rows = {case: counted[f"t{nth}", "c1"] for nth, case in enumerate(CASES)}
        assert {case: (row["clicked"], row["clicked_implied"]) for case, row in rows.items()} == right
