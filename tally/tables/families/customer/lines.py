"""The lines of a customer: for each row the send by which it counts there, and the reply that counts."""

from collections.abc import Iterable, Iterator, Sequence

from tally.schemas.facts import Claim
from tally.schemas.places import NOWHERE, First
from tally.tables.contribution import Part
from tally.tables.families.customer.counting import by_row, first_of, replied, replies_of, sends_of
from tally.tables.families.customer.state import Customer, Person
from tally.tables.line import Event, Line
from tally.tables.rules import Rules


def lines_of(state: Customer, parts: Sequence[Part], rules: Rules) -> Iterator[Line]:
    """Yield the lines of what a customer counts."""
    sends, replies = sends_of(state), replies_of(state)
    claims = dict(by_row(sends))
    credited = replied(sends, replies, rules)[0] if replies and sends else {}
    places = _places(state.people.values())
    for part in parts:
        heard_ms: int | None
        if part.of:
            claim = _claim_of(state, part.of)
            heard_ms = part.last_ms // 1_000 * 1_000  # a press comes in the second of the send or later
        else:
            claim = first_of(claims[part.row])
            heard_ms = min(credited.get(part.row, ()), default=None)
        yield _line(part, claim, heard_ms, places)


def _claim_of(state: Customer, digest: str) -> Claim:
    claim = state.messages[bytes.fromhex(digest)].claim
    if claim is None:
        raise ValueError("a message without a claim counts nothing")
    return claim


def _line(part: Part, claim: Claim, heard_ms: int | None, places: dict[int, int]) -> Line:
    events = [Event("accepted", claim.at_ms, claim.place)]
    if heard_ms is not None:
        events.append(Event("inbound", heard_ms, places.get(heard_ms // 1_000, NOWHERE)))
    return Line(part, claim.at_ms, claim.contact, claim.attempt, "", claim.phone, events=tuple(events))


def _places(people: Iterable[Person]) -> dict[int, int]:
    """Return by second the place of the messages first seen in it; of several the smallest."""
    firsts: dict[bytes, First] = {}
    for person in people:
        for digest, first in person.inbound.items():
            firsts[digest] = min(first, firsts.get(digest, first))
    places: dict[int, int] = {}
    for at_s, place in firsts.values():
        places[at_s] = min(place, places.get(at_s, place))
    return places
