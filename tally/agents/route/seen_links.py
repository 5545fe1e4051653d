"""Links that the facts log already holds: saying them again would change no state."""

from collections.abc import Iterable
from itertools import combinations

from tally.schemas.bounds import REMEMBERED_LINKS
from tally.schemas.records import Keyed, KeyedCustomerSeen, Timed

LINK_BYTES = 120
"""What remembering a link takes beside its own bytes."""


class SeenLinks:
    """Leaves out facts that only repeat which identifiers were shown together.

    Each status of a message repeats what its send result has said. What is known of an identifier is a union
    over all pairs that events show, and it is the same without a fact of which every pair is known (merging
    is a join). So a fact is left out only if all of its pairs are, never because its identifiers are
    connected already. What counts is what the brokers have acknowledged to this process; where the fold has
    given up on such a fact, its subject is marked as incomplete.
    """

    def __init__(self, remembered_bytes: int = REMEMBERED_LINKS.most) -> None:
        self._half_bytes = remembered_bytes // 2
        self._young_bytes = 0
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def filter_new(
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
                if type(keyed) is KeyedCustomerSeen:
                    says_more = keyed.send is not None or keyed.inbound is not None
                    for link in _links(keyed):
                        if not (link in young or link in old or link in said):
                            said.add(link)
                            says_more = True
                    if not says_more:
                        continue
                kept.append((keyed, raw_at_ms))
        return kept, said

    def remember(self, links: set[bytes]) -> None:
        """Remember links of which the facts log holds the facts."""
        self._young |= links
        self._young_bytes += sum(map(len, links)) + LINK_BYTES * len(links)
        if self._young_bytes > self._half_bytes:
            self._old, self._young = self._young, set()
            self._young_bytes = 0


def _links(seen: KeyedCustomerSeen) -> list[bytes]:
    """Return each pair of identifiers that a fact shows together, in one way of writing it."""
    # NUL parts them: phones and ids hold none. A message's key begins with its number's and a slash.
    identifiers = seen.identifiers
    links = [seen.message + b"\0" + other for other in identifiers] if seen.message else []
    if len(identifiers) > 1:
        key = seen.key
        links += [b"\0".join((key, *pair)) for pair in combinations(sorted(identifiers), 2)]
    return links
