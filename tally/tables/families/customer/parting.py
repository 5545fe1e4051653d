"""Splitting a state into several customers when identifiers turn out to identify nobody."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from tally.tables.families.customer.merge import known_of
from tally.tables.families.customer.state import MESSAGE, Customer, Most


def parted(state: Customer, known: Collection[bytes]) -> list[Customer]:
    """Return the customers in a state, and one separate subject for each identifier that stands apart.

    `known` are the identifiers that stood apart before; without new ones the rest is one customer. Linear.
    """
    if not state.apart:
        return [state]
    lone = [_alone(state, name, by_size) for name, by_size in state.apart.items()]
    rest = _without_apart(state)
    if not rest.people and not rest.messages:
        return lone
    if all(name in known for name in state.apart):
        return [*lone, rest]
    return [*lone, *_components(rest)]


def relieved(state: Customer, most: Most) -> Customer | None:
    """Return a state that is too large, with the identifiers set apart that connect most.

    These are all that have at least half as many links as the one with the most, so a few rounds are enough.
    Returns None if nothing is left to set apart.
    """
    links = Counter(
        {name: len(person.shown_with) + len(person.inbound) for name, person in state.people.items()}
    )
    for sent in state.messages.values():
        links.update(sent.shown_with)
    counted = {name: links[name] for name in state.people}
    if not counted:
        return None
    known = known_of(state, most)
    enough = max(counted.values()) / 2
    for name, count in counted.items():
        if count >= enough:
            known.set_apart(name, by_size=True)
    return known.customer()


def _alone(state: Customer, name: bytes, by_size: bool) -> Customer:
    """Return the state of an identifier that stands apart; a message keeps its claim, which still counts."""
    sent = state.messages.get(name[1:]) if name.startswith(MESSAGE) else None
    return Customer({}, {} if sent is None else {name[1:]: sent}, {}, {name: by_size})


def _without_apart(state: Customer) -> Customer:
    messages = {
        digest: sent for digest, sent in state.messages.items() if MESSAGE + digest not in state.apart
    }
    return Customer(state.people, messages, _own(state.shared, state.people), {})


def _own(shared: dict[bytes, list[bytes]], people: Collection[bytes]) -> dict[bytes, list[bytes]]:
    own = {digest: [name for name in names if name in people] for digest, names in shared.items()}
    return {digest: names for digest, names in own.items() if names}


def _components(state: Customer) -> Iterator[Customer]:
    """Yield the connected components of a state in which nothing stands apart."""
    sent_to = _by_name(state.people, {digest: sent.shown_with for digest, sent in state.messages.items()})
    shared_by = _by_name(state.people, state.shared)
    seen: set[bytes] = set()
    for start in state.people:
        if start in seen:
            continue
        names = _reached(state, sent_to, start)
        seen |= names
        messages = sorted({digest for name in names for digest in sent_to[name]})
        shared = sorted({digest for name in names for digest in shared_by[name]})
        yield Customer(
            {name: state.people[name] for name in sorted(names)},
            {digest: state.messages[digest] for digest in messages},
            _own({digest: state.shared[digest] for digest in shared}, names),
            {},
        )
    for digest, sent in state.messages.items():
        if not any(name in state.people for name in sent.shown_with):
            yield Customer({}, {digest: sent}, {}, {})


def _by_name(people: Iterable[bytes], shown: dict[bytes, list[bytes]]) -> dict[bytes, list[bytes]]:
    """Return the messages that each of these people is linked with."""
    found: dict[bytes, list[bytes]] = {name: [] for name in people}
    for digest, names in shown.items():
        for name in names:
            if name in found:
                found[name].append(digest)
    return found


def _reached(state: Customer, sent_to: dict[bytes, list[bytes]], start: bytes) -> set[bytes]:
    """Return all people that links connect with `start`, including `start`."""
    reached, waiting = {start}, [start]
    while waiting:
        name = waiting.pop()
        near = [state.people[name].shown_with, *(state.messages[it].shown_with for it in sent_to[name])]
        fresh = {other for names in near for other in names if other in state.people} - reached
        reached |= fresh
        waiting += fresh
    return reached
