"""Presses of a quick reply that name no message: which message each one clicks.

Only template messages have quick replies, so such a press belongs to the last one, be it of a campaign or a
service message, which counts nowhere.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/button
"""

from collections.abc import Collection, Iterable, Mapping

from tally.schemas.cells import MINUTE_SECONDS, QUARTER_MS, Cell
from tally.schemas.facts import Claim
from tally.schemas.grains import RowKey
from tally.tables.contribution import Part
from tally.tables.families.customer.state import Person, Sent
from tally.tables.families.customer.touch import first_seen, last_touch, touch
from tally.tables.rules import Rules


def lone_presses(people: Collection[Person]) -> list[int]:
    """Return the unix seconds of presses of which no copy names a message, sorted."""
    is_named: dict[bytes, bool] = {}
    for presses in [person.presses for person in people if person.presses]:
        for digest, named in presses.items():
            is_named[digest] = named or is_named.get(digest, False)
    if all(is_named.values()):
        return []
    first = first_seen(people)
    return sorted(first[digest] for digest, named in is_named.items() if not named)


def implied_clicks(
    messages: Mapping[bytes, Sent], presses: Iterable[int], number: str, rules: Rules
) -> list[Part]:
    """Return what presses count that name no message, for each message that no other press names.

    A press belongs to the last touch among the template messages. Of messages that are equal in all of its
    order one that a press names goes first, as it is clicked already, then that of the largest market: so
    its cell does not depend on which of them it is.
    """
    sends = [
        (claim, sent.is_pressed, digest)
        for digest, sent in messages.items()
        if (claim := sent.claim) and claim.template.name
    ]
    sends.sort(key=lambda send: (touch(send[0]), send[1], send[0].market))
    sent_s = [claim.at_ms // 1000 for claim, *_ in sends]
    first: dict[int, int] = {}
    for at_s in presses:
        if (i := last_touch(sent_s, at_s, rules.reply_window_seconds)) is not None:
            first.setdefault(i, at_s)
    clicked = [(*sends[i], at_s) for i, at_s in first.items()]
    return [
        _part(claim, digest, number, at_s)
        for claim, is_pressed, digest, at_s in clicked
        if claim.campaign and not is_pressed
    ]


def _part(claim: Claim, digest: bytes, number: str, at_s: int) -> Part:
    row = RowKey(claim.tenant, claim.campaign, claim.template)
    cell = Cell(row, number, claim.market, claim.at_ms // QUARTER_MS)
    happened = (("clicked", at_s // MINUTE_SECONDS, "", 1),)
    counts, last_ms = {"clicked": 1, "clicked_implied": 1}, max(claim.at_ms, at_s * 1000)
    return Part(cell, counts, claim.at_ms, last_ms, happened=happened, of=digest.hex())
