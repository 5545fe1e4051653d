"""The merge of customers: unions and smallest values, which depend on neither order nor repetition."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from tally.schemas.bounded import is_placeholder
from tally.schemas.facts import Claim, CustomerSeen
from tally.schemas.places import First
from tally.tables.families.customer.state import MESSAGE, Customer, Most, Person, Sent
from tally.tables.families.family import ordered

KIND = MESSAGE[0]


class Known(Struct, gc=False):
    """A customer's state while facts merge into it."""

    most: Most
    people: dict[bytes, Person] = {}
    messages: dict[bytes, Sent] = {}
    shared: dict[bytes, list[bytes]] = {}
    apart: dict[bytes, bool] = {}
    heard: dict[bytes, dict[bytes, First]] = {}
    """The inbound messages of people who have new ones."""
    pressed: dict[bytes, dict[bytes, bool]] = {}
    """The presses of people who have new ones."""

    def see(self, fact: CustomerSeen) -> None:
        """Merge what one part of a raw event shows; a message is always the first identifier."""
        names: Sequence[bytes] = fact.identifiers
        first = names[0]
        if first[0] == KIND:
            names = names[1:]
            claim = None if fact.send is None else fact.send.claim.placed(fact.place)
            self._message(first[1:], names, claim, fact.is_pressed)
        for name in names:
            self._person(name, names)
        if (inbound := fact.inbound) is not None:
            presses = {} if inbound.press == "none" else {inbound.message: inbound.press == "named"}
            for name in names:
                self._inbound(name, {inbound.message: (inbound.at_s, fact.place)}, presses)

    def add(self, other: Customer) -> None:
        """Merge another state."""
        for name, by_size in other.apart.items():
            self.set_apart(name, by_size)
        for name, person in other.people.items():
            self._person(name, person.shown_with)
            if person.inbound:
                self._inbound(name, person.inbound, person.presses)
        for digest, sent in other.messages.items():
            self._message(digest, sent.shown_with, sent.claim, sent.is_pressed)
        for digest, names in other.shared.items():
            self._share(digest, names)

    def set_apart(self, name: bytes, by_size: bool = False) -> None:
        """Set an identifier apart for ever; the identifiers linked with it keep these links themselves."""
        self.apart[name] = by_size or self.apart.get(name, False)
        if name[0] != KIND:
            self.people.pop(name, None)
        elif (sent := self.messages.get(digest := name[1:])) is not None:
            self._share(digest, sent.shown_with)
            self.messages[digest] = Sent([], sent.claim, sent.is_pressed)

    def customer(self) -> Customer:
        """Return the state in canonical order."""
        for name, inbound in self.heard.items():
            if (person := self.people.get(name)) is not None:
                presses = ordered(self.pressed.get(name, person.presses))
                self.people[name] = Person(person.shown_with, ordered(inbound), presses)
        self._count_messages()
        return Customer(
            ordered(self.people), ordered(self.messages), ordered(self.shared), ordered(self.apart)
        )

    def _person(self, name: bytes, names: Sequence[bytes]) -> None:
        person = self.people.get(name)
        if person is None:
            if name in self.apart:
                return
            if is_placeholder(name[1:]):
                self.set_apart(name)
                return
            self.people[name] = person = Person([], {})
        if len(names) == 1 and names[0] == name:
            return
        shown_with = _union(person.shown_with, names, name)
        if len(shown_with) > self.most.links and self.most.has_too_many(shown_with):
            self.set_apart(name)
        elif shown_with is not person.shown_with:
            self.people[name] = Person(shown_with, person.inbound, person.presses)

    def _inbound(self, name: bytes, more: dict[bytes, First], presses: dict[bytes, bool]) -> None:
        person = self.people.get(name)
        if person is None:  # the identifier stands apart, so the message is no customer's reply
            return
        known = self.heard.get(name)
        if known is None:
            known = self.heard[name] = dict(person.inbound)
        for digest, first in more.items():
            known[digest] = min(first, known.get(digest, first))
        if presses:
            pressed = self.pressed.get(name)
            if pressed is None:
                pressed = self.pressed[name] = dict(person.presses)
            for digest, is_named in presses.items():
                pressed[digest] = is_named or pressed.get(digest, False)

    def _message(self, digest: bytes, names: Sequence[bytes], claim: Claim | None, is_pressed: bool) -> None:
        sent = self.messages.get(digest)
        shown_with: list[bytes] = [] if sent is None else sent.shown_with
        if sent is not None:
            claim = _joined(sent.claim, claim)
            is_pressed = is_pressed or sent.is_pressed
        if self.apart and MESSAGE + digest in self.apart:
            self._share(digest, names)
        else:
            shown_with = _union(shown_with, names)
        self.messages[digest] = Sent(shown_with, claim, is_pressed)
        if len(shown_with) > self.most.links and self.most.has_too_many(shown_with):
            self.set_apart(MESSAGE + digest)

    def _share(self, digest: bytes, names: Sequence[bytes]) -> None:
        if names:
            self.shared[digest] = _union(self.shared.get(digest, []), names)

    def _count_messages(self) -> None:
        """Set apart the phones and user ids that are linked with too many messages."""
        messages = len(self.messages) + len(self.shared)
        for person in self.people.values():
            messages += len(person.inbound)
        if messages <= self.most.messages:
            return
        count = Counter({name: len(person.inbound) for name, person in self.people.items()})
        for sent in self.messages.values():
            count.update(sent.shown_with)
        for names in self.shared.values():
            count.update(names)
        for name in [name for name in self.people if count[name] > self.most.messages]:
            self.set_apart(name)


def known_of(state: Customer | None, most: Most) -> Known:
    """Return a mutable copy of a state; the state itself does not change."""
    if state is None:
        return Known(most)
    return Known(most, dict(state.people), dict(state.messages), dict(state.shared), dict(state.apart))


def _union(known: list[bytes], names: Sequence[bytes], own: bytes = b"") -> list[bytes]:
    """Return the sorted union without `own`; the list `known` itself if no name is new."""
    more = [name for name in names if name not in known and name != own]
    if not more:
        return known
    return more if len(more) == 1 and not known else sorted({*known, *more})


def _joined(left: Claim | None, right: Claim | None) -> Claim | None:
    if left is None or right is None:
        return right if left is None else left
    return left if left == right else left.joined(right)
