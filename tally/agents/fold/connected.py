"""Folding subjects whose identity is only learnt later: connected components (architecture 3.10)."""

from collections import defaultdict
from typing import Any

from tally.agents.fold.failure import family_code
from tally.schemas.topics import ALIASES
from tally.tables.contribution import Changes
from tally.tables.families.family import Family
from tally.tables.reading import Reader, Writes
from tally.tables.rules import Rules


def fold_connected(
    family: Family[Any, Any],
    facts: list[tuple[bytes, Any]],
    reader: Reader,
    rules: Rules,
    changes: Changes,
    writes: Writes,
) -> None:
    """Fold facts that may show that several subjects are one.

    Where a fact connects subjects, their states merge under the smallest key, and their contributions give
    way to that of the union, in the same batch.
    """
    with family_code():
        keys = [family.subjects(key, fact) for key, fact in facts]
    named = list(dict.fromkeys(key for several in keys for key in several))
    roots = dict(zip(named, reader.get_many(ALIASES, named), strict=True))
    components = _components([[roots[key] or key for key in several] for several in keys])
    known = list({root for root in roots.values() if root is not None})
    states = dict(zip(known, reader.get_many(family.table, known), strict=True))
    merged: dict[bytes, list[Any]] = defaultdict(list)
    for several, (_, fact) in zip(keys, facts, strict=True):
        merged[components[roots[several[0]] or several[0]]].append(fact)
    olds: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
    for root, old in states.items():
        if old is not None:
            olds[components[root]][root] = old
    with family_code():
        for component, of_it in merged.items():
            _fold_component(family, component, of_it, olds[component], rules, changes, writes)


def _fold_component(
    family: Family[Any, Any],
    scope: bytes,
    facts: list[Any],
    olds: dict[bytes, bytes],
    rules: Rules,
    changes: Changes,
    writes: Writes,
) -> None:
    """Merge one component: all states it had, and its facts."""
    befores = {root: family.decode(old) for root, old in olds.items()}
    after: Any = None
    for before in befores.values():
        after = before if after is None else family.join(after, before)
    after = family.merge(after, facts)
    members = family.members(scope, after)
    root = min(members)
    encoded = family.encode(after)
    if olds == {root: encoded}:
        return
    table = writes.setdefault(family.table, {})
    table.update(dict.fromkeys(olds))
    table[root] = encoded
    writes.setdefault(ALIASES, {}).update(dict.fromkeys(_renamed(family, members, root, befores), root))
    changes.move(
        [part for key, before in befores.items() for part in family.contribution(key, before, rules)],
        family.contribution(root, after, rules),
    )


def _renamed(family: Family[Any, Any], members: Any, root: bytes, befores: dict[bytes, Any]) -> set[bytes]:
    """Return the members that are not yet known under this root."""
    known = set(family.members(root, befores[root])) if root in befores else set()
    return set(members) - known


def _components(groups: list[list[bytes]]) -> dict[bytes, bytes]:
    """Return for each key a name of its connected component."""
    parent: dict[bytes, bytes] = {}

    def find(key: bytes) -> bytes:
        above = parent.setdefault(key, key)
        while above != key:
            parent[key] = parent[above]
            key = above
            above = parent[key]
        return key

    for first, *others in groups:
        root = find(first)
        for other in others:
            parent[find(other)] = root
            root = find(root)
    return {key: find(key) for key in list(parent)}
