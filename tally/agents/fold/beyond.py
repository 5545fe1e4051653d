"""Marks for subjects that have outgrown a bound, with the scopes that they concern. Pure."""

from collections.abc import Mapping, Sequence

from tally.agents.fold.context import FoldContext, Merged
from tally.agents.fold.missing import EVERYBODY, scopes_of
from tally.schemas.bounds import Bound
from tally.schemas.notices import Scope
from tally.tables.families.family import F, Family, S

MOST_NAMED = 10_000
"""Campaigns that the marks of subjects parted from one state may name in all: some hundred kilobytes."""


def mark_beyond(context: FoldContext, family: Family[F, S], bound: Bound, merged: Merged[F, S]) -> None:
    """Mark a subject whose state has outgrown a bound, in each scope that it or one of its facts counts for.

    No state holds what lies beyond a bound, so the scope of a further fact is read from the fact itself.
    """
    root = merged.root
    scopes = _whose(context, family, root, merged.befores, merged.facts)
    scopes |= scopes_of(family.contribution(root, merged.after, context.rules))
    scopes.update(family.owners(merged.after))
    formerly = [family.code + key for key in merged.befores if key != root]
    context.missing.mark(family.code + root, bound.name, scopes, formerly)


def scopes_of_parted(
    context: FoldContext,
    family: Family[F, S],
    names: Sequence[bytes],
    befores: Mapping[bytes, S],
    facts: Sequence[F],
) -> set[Scope]:
    """Return the scopes in which to mark subjects, at least one, that a bound has parted from one state.

    They are the scopes that the former states and the facts count for, computed once for all names: one state
    may part into thousands. If their marks would name too many campaigns in all, they concern everybody.
    """
    scopes = _whose(context, family, names[0], befores, facts)
    return {EVERYBODY} if len(names) * len(scopes) > MOST_NAMED else scopes


def _whose(
    context: FoldContext, family: Family[F, S], key: bytes, states: Mapping[bytes, S], facts: Sequence[F]
) -> set[Scope]:
    scopes = {scope for fact in facts for scope in family.named(key, fact)}
    for root, state in states.items():
        scopes |= scopes_of(family.contribution(root, state, context.rules))
        scopes.update(family.owners(state))
    return scopes
