"""Keys of subjects that a fact names only together with the known state. Pure.

A PBX may report the campaign of a channel in one event and its contact in another: only both together name
the call. Such facts are rare, so the states for them are read separately, before those of the batch.
"""

from collections import defaultdict
from collections.abc import Sequence

from tally.agents.fold.failure import family_code
from tally.agents.fold.steps import FACTS_AT_ONCE, chunks
from tally.schemas.tables import ALIASES
from tally.tables.families.family import ConnectedFamily, F, S
from tally.tables.pieces import Steps
from tally.tables.store.interface import StateReader

NamedFact = tuple[Sequence[bytes], F]
"""The keys of a fact's subject, at least one, and the fact."""


def all_subjects(
    family: ConnectedFamily[F, S], facts: Sequence[tuple[bytes, F]], reader: StateReader
) -> Steps[list[NamedFact[F]]]:
    """Return each fact with its subject's keys: those that it names alone or together with the state."""
    found: list[NamedFact[F]] = []
    partly: dict[bytes, list[int]] = defaultdict(list)
    for some in chunks(facts, FACTS_AT_ONCE):
        with family_code():
            for nth, (key, fact) in enumerate(some, start=len(found)):
                for subject in family.half_named(key, fact):
                    partly[subject].append(nth)
            found += [(family.subjects(key, fact), fact) for key, fact in some]
        yield
    if not partly:
        return found
    states = _states(family, list(partly), reader)
    with family_code():
        for subject, places in partly.items():
            about = [found[nth][1] for nth in places]
            named = family.named_together(subject, about, states.get(subject))
            keys, fact = found[places[0]]
            found[places[0]] = ([*keys, *named], fact)
    return found


def _states(family: ConnectedFamily[F, S], subjects: list[bytes], reader: StateReader) -> dict[bytes, S]:
    aliases = reader.get_many(ALIASES, [family.code + subject for subject in subjects])
    roots = {subject: root for subject, root in zip(subjects, aliases, strict=True) if root is not None}
    known = list(dict.fromkeys(roots.values()))
    with family_code():
        states = {
            root: family.decode(encoded)
            for root, encoded in zip(known, reader.get_many(family.table, known), strict=True)
            if encoded is not None
        }
    return {subject: states[root] for subject, root in roots.items() if root in states}
