"""The state of a customer: the identifiers of one person, and the links that show it.

A *link* is a pair of identifiers that one part of a raw event shows together. Each identifier x keeps the set
D(x) of all that it was ever linked with. An identifier with too many links identifies nobody. It then stands
*apart*: it connects no others, is a separate subject, and need not keep its links any more. Since D(x) only
grows, whether x stands apart depends on the facts alone, not on their order.
"""

from collections.abc import Sequence

from msgspec import Struct

from tally.schemas.bounds import CUSTOMER, IDENTIFIER_LINKS, IDENTIFIER_MESSAGES
from tally.schemas.facts import Claim

PHONE, USER, MESSAGE = b"p", b"u", b"w"
"""The first byte of an identifier: its kind."""


class Most(Struct, frozen=True):
    """The bounds of customers; tests set smaller ones."""

    links: int = IDENTIFIER_LINKS.most
    """How many phones, and how many user ids, one identifier may be linked with."""
    messages: int = IDENTIFIER_MESSAGES.most
    """How many messages, sent and received, a phone or user id may be linked with."""
    state_bytes: int = CUSTOMER.most

    def has_too_many(self, shown_with: Sequence[bytes]) -> bool:
        """Return whether an identifier is linked with too many phones or user ids."""
        if len(shown_with) <= self.links:
            return False
        users = sum(other.startswith(USER) for other in shown_with)
        return users > self.links or len(shown_with) - users > self.links


class Person(Struct, frozen=True, array_like=True, gc=False):
    """A phone or user id that does not stand apart."""

    shown_with: list[bytes]
    """The phones and user ids that it is linked with, sorted, including those that stand apart."""
    inbound: dict[bytes, int]
    """The first second of each message from this identifier that counts as a reply, by digest."""


class Sent(Struct, frozen=True, array_like=True, gc=False):
    """A message to the customer, and the claim of its sender if that is known."""

    shown_with: list[bytes]
    """The phones and user ids that it is linked with, sorted; empty once it stands apart."""
    claim: Claim | None
    """The smallest claim; None if there is none."""


class Customer(Struct, frozen=True, array_like=True, gc=False):
    """Everything known of one customer of one business number, or of an identifier that stands apart."""

    people: dict[bytes, Person]
    """Phones and user ids that do not stand apart."""
    messages: dict[bytes, Sent]
    """Messages by digest."""
    shared: dict[bytes, list[bytes]]
    """The phones and user ids here that are linked with a message that stands apart, by its digest."""
    apart: dict[bytes, bool]
    """Identifiers that stand apart; True if only because the customer's state was too large."""
