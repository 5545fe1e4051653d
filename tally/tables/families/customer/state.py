"""What is known of a customer: the identifiers that belong to one person, and what shows that they do.

A *link* is a pair of identifiers that one part of a raw event shows together. Each identifier keeps all that
it was ever linked with, D(x). One that is linked with too many identifies nobody: it connects no others, and
is a subject of its own (it stands *apart*), of which nothing has to be kept any more. Since D(x) only grows,
that depends on the facts alone, not on their order.
"""

from collections.abc import Sequence

from msgspec import Struct

from tally.schemas.bounds import CUSTOMER, IDENTIFIER_LINKS, IDENTIFIER_MESSAGES
from tally.schemas.facts import Claim

PHONE, USER, MESSAGE = b"p", b"u", b"w"
"""What identifiers begin with."""


class Most(Struct, frozen=True):
    """The bounds of customers; tests set smaller ones."""

    links: int = IDENTIFIER_LINKS.most
    """Phones, and user ids, that one identifier may be linked with."""
    messages: int = IDENTIFIER_MESSAGES.most
    """Messages that a phone or user id may be linked with, sent and received ones."""
    state_bytes: int = CUSTOMER.most

    def has_too_many(self, shown_with: Sequence[bytes]) -> bool:
        """Return whether an identifier is linked with too many phones or user ids."""
        if len(shown_with) <= self.links:
            return False
        users = sum(other.startswith(USER) for other in shown_with)
        return users > self.links or len(shown_with) - users > self.links


class Person(Struct, frozen=True, array_like=True, gc=False):
    """A phone or user id that identifies somebody."""

    shown_with: list[bytes]
    """Phones and user ids that it is linked with, sorted; those that stand apart too."""
    inbound: dict[bytes, int]
    """First second by digest of each message from this identifier that counts as a reply."""


class Sent(Struct, frozen=True, array_like=True, gc=False):
    """A message to the customer, and who sent it, where that is known."""

    shown_with: list[bytes]
    """Phones and user ids that it is linked with, sorted; none once it stands apart itself."""
    claim: Claim | None
    """Of several the smallest."""


class Customer(Struct, frozen=True, array_like=True, gc=False):
    """Everything known of one customer of one business number, or of an identifier that stands apart."""

    people: dict[bytes, Person]
    """By phone or user id; none of them stands apart."""
    messages: dict[bytes, Sent]
    """By digest."""
    shared: dict[bytes, list[bytes]]
    """By digest of a message that stands apart: the phones and user ids here that it is linked with."""
    apart: dict[bytes, bool]
    """Identifiers that stand apart, and whether only the size of a customer made them."""
