"""Links that the facts log already holds: saying them again would change no state."""

from collections.abc import Iterable

from tally.schemas.facts import Keyed, Sighting

REMEMBERED = 100_000
"""Links at most, some 150 bytes each; beyond that the older half is forgotten and said once more."""

Fact = tuple[Keyed, int]


class Links:
    """Leaves out facts that only repeat which identifiers belong to one customer.

    Each status of a message repeats what its send result has said; the union of what is known is the same
    without it (merging is a join). What counts is what the brokers have acknowledged to this process.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._half = remembered // 2
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def fresh(self, facts: Iterable[Fact]) -> tuple[list[Fact], set[bytes]]:
        """Return the facts that say something new, and their links, to be noted once the facts are safe."""
        kept: list[Fact] = []
        said: set[bytes] = set()
        for keyed, raw_at_ms in facts:
            fact = keyed.fact
            if type(fact) is Sighting:
                links = _links(keyed.key, fact.identifiers)
                if fact.send is None and fact.inbound is None and all(map(self._holds, links - said)):
                    continue
                said |= links
            kept.append((keyed, raw_at_ms))
        return kept, said

    def note(self, links: set[bytes]) -> None:
        """Remember links of which the facts log holds the facts."""
        self._young |= links
        if len(self._young) > self._half:
            self._old, self._young = self._young, set()

    def _holds(self, link: bytes) -> bool:
        return link in self._young or link in self._old


def _links(key: bytes, identifiers: list[bytes]) -> set[bytes]:
    """Return each pair that connects the first identifier with another one."""
    # NUL parts them: phones and ids hold none, and the digests of messages, which may, have one length.
    return {b"\0".join((key, identifiers[0], other)) for other in identifiers[1:]}
