"""Links that the facts log already holds: saying them again would change no state."""

from collections.abc import Iterable

from tally.schemas.keyed import Keyed, KeyedSighting, Timed

REMEMBERED = 100_000
"""Links at most, some 150 bytes each; beyond that the older half is forgotten and said once more."""


class Links:
    """Leaves out facts that only repeat which identifiers belong to one customer.

    Each status of a message repeats what its send result has said; the union of what is known is the same
    without it (merging is a join). What counts is what the brokers have acknowledged to this process; where
    the fold has given up on such a fact, its subject is marked as incomplete.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._half = remembered // 2
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def fresh(
        self, read: Iterable[tuple[Iterable[Keyed], int]], said: set[bytes] | None = None
    ) -> tuple[list[Timed], set[bytes]]:
        """Return the facts that say something new, and their links, to be noted once the facts are safe.

        Facts come by raw event, each with its time. Links that are `said` already are repeated as well, and
        further ones are added to them.
        """
        kept: list[Timed] = []
        said = set() if said is None else said
        young, old = self._young, self._old
        for facts, raw_at_ms in read:
            for keyed in facts:
                if type(keyed) is KeyedSighting:
                    says_more = keyed.send is not None or keyed.inbound is not None
                    for link in _links(keyed):
                        if not (link in young or link in old or link in said):
                            said.add(link)
                            says_more = True
                    if not says_more:
                        continue
                kept.append((keyed, raw_at_ms))
        return kept, said

    def note(self, links: set[bytes]) -> None:
        """Remember links of which the facts log holds the facts."""
        self._young |= links
        if len(self._young) > self._half:
            self._old, self._young = self._young, set()


def _links(sighting: KeyedSighting) -> list[bytes]:
    """Return each pair that connects the message, else the first identifier, with another one."""
    # NUL parts them: phones and ids hold none. A message's key begins with its number's and a slash.
    if message := sighting.message:
        return [message + b"\0" + other for other in sighting.identifiers]
    first, *others = sighting.identifiers
    return [b"\0".join((sighting.key, first, other)) for other in others]
