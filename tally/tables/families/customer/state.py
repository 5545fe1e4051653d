"""The state of a customer: the identifiers of one person, and the links that show it.

A *link* is a pair of identifiers that one part of a raw event shows together. Each identifier x keeps the set
D(x) of all that it was ever linked with. An identifier with too many links identifies nobody. It then stands
*apart*: it connects no others, is a separate subject, and need not keep its links any more. Since D(x) only
grows, whether x stands apart depends on the facts alone, not on their order.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from tally.schemas.bounds import CUSTOMER, IDENTIFIER_LINKS, IDENTIFIER_MESSAGES
from tally.schemas.facts import Claim
from tally.schemas.places import First

PHONE, USER, NAME, MESSAGE = b"p", b"u", b"n", b"w"
"""The first byte of an identifier: its kind. A name is any text that stands where phones stand."""
PERSONAL = (PHONE, USER, NAME)


class Most(Struct, frozen=True):
    """The bounds of customers; tests set smaller ones."""

    links: int = IDENTIFIER_LINKS.most
    """How many phones, user ids and names each one identifier may be linked with."""
    messages: int = IDENTIFIER_MESSAGES.most
    """How many messages, sent and received, a phone or user id may be linked with."""
    state_bytes: int = CUSTOMER.most

    def has_too_many(self, shown_with: Sequence[bytes]) -> bool:
        """Return whether an identifier is linked with too many of one kind."""
        if len(shown_with) <= self.links:
            return False
        kinds = Counter(other[:1] for other in shown_with)
        return any(kinds[kind] > self.links for kind in PERSONAL)


class Person(Struct, frozen=True, array_like=True, gc=False):
    """A phone, user id or name that does not stand apart."""

    shown_with: list[bytes]
    """The phones, user ids and names that it is linked with, sorted, including those that stand apart."""
    inbound: dict[bytes, First]
    """The first second of each message from it that counts as a reply, and its place, by digest."""
    presses: dict[bytes, bool] = {}
    """Those that press a quick reply, and whether any copy of the press names a message."""


class Sent(Struct, frozen=True, array_like=True, gc=False):
    """A message to the customer, and the claim of its sender if that is known."""

    shown_with: list[bytes]
    """The phones, user ids and names that it is linked with, sorted; empty once it stands apart."""
    claim: Claim | None
    """The smallest claim; None if there is none."""
    is_pressed: bool = False
    """Whether a press of its quick reply names it."""


class Customer(Struct, frozen=True, array_like=True, gc=False):
    """Everything known of one customer of one business number, or of an identifier that stands apart."""

    people: dict[bytes, Person]
    """Phones, user ids and names that do not stand apart."""
    messages: dict[bytes, Sent]
    """Messages by digest."""
    shared: dict[bytes, list[bytes]]
    """The phones, user ids and names here that are linked with a message that stands apart, by its digest."""
    apart: dict[bytes, bool]
    """Identifiers that stand apart; True if only because the customer's state was too large."""
