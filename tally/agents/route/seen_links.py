"""Links that the facts log already holds: writing them again would change no state."""

from collections.abc import Iterable
from itertools import combinations

from tally.schemas.bounds import REMEMBERED_LINKS
from tally.schemas.records import Keyed, KeyedCustomerSeen, Origin, Traced

LINK_BYTES = 120
"""Memory that remembering a link takes in addition to its bytes."""


class SeenLinks:
    """Filter of facts that only repeat links.

    Each status of a message repeats the links of its send result. A customer is a union over all pairs of
    identifiers that events show, so a fact whose pairs are all known changes nothing (merging is a join). A
    fact is left out only if all of its pairs are known, never because its identifiers are connected already.
    Known are the links that the brokers have acknowledged to this process. If the fold has quarantined the
    fact that held them, its subject is marked as incomplete.
    """

    def __init__(self, remembered_bytes: int = REMEMBERED_LINKS.most) -> None:
        self._half_bytes = remembered_bytes // 2
        self._young_bytes = 0
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def filter_new(
        self, read: Iterable[tuple[Iterable[Keyed], Origin]], said: set[bytes] | None = None
    ) -> tuple[list[Traced], set[bytes]]:
        """Return the facts that say something new, and their links, to be remembered once acknowledged.

        `read` holds the facts of each raw event with its origin. Links in `said` count as known, and new ones
        are added to it.
        """
        kept: list[Traced] = []
        said = set() if said is None else said
        young, old = self._young, self._old
        for facts, origin in read:
            for keyed in facts:
                if type(keyed) is KeyedCustomerSeen:
                    says_more = keyed.send is not None or keyed.inbound is not None or keyed.is_pressed
                    for link in _links(keyed):
                        if not (link in young or link in old or link in said):
                            said.add(link)
                            says_more = True
                    if not says_more:
                        continue
                kept.append((keyed, origin))
        return kept, said

    def remember(self, links: set[bytes]) -> None:
        """Remember links whose facts the facts log holds."""
        self._young |= links
        self._young_bytes += sum(map(len, links)) + LINK_BYTES * len(links)
        if self._young_bytes > self._half_bytes:
            self._old, self._young = self._young, set()
            self._young_bytes = 0


def _links(seen: KeyedCustomerSeen) -> list[bytes]:
    """Return each pair of identifiers that a fact shows together, in a canonical form."""
    # NUL separates them: phones and ids hold none. A message's key begins with its number's key and a slash.
    identifiers = seen.identifiers
    links = [seen.message + b"\0" + other for other in identifiers] if seen.message else []
    if len(identifiers) > 1:
        key = seen.key
        links += [b"\0".join((key, *pair)) for pair in combinations(sorted(identifiers), 2)]
    return links
