"""Folding subjects whose identity is only learnt later: connected components (architecture 3.10)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from tally.agents.fold.failure import family_code
from tally.agents.fold.sweeps import Sweeps
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
    sweeps = Sweeps(family, reader, [key for key, _ in facts])
    facts, unheard = sweeps.take(facts, writes)
    with family_code():
        keys = [family.subjects(key, fact) for key, fact in facts]
    named = list({key: None for several in keys for key in several})
    aliases = reader.get_many(ALIASES, [family.code + key for key in named])
    roots = {key: root for key, root in zip(named, aliases, strict=True) if root is not None}
    components = _components(keys, roots, unheard)
    known = list({*roots.values(), *unheard})
    olds: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
    for root, old in zip(known, reader.get_many(family.table, known), strict=True):
        if old is not None:
            olds[components[root][0]][root] = old
    merged: dict[bytes, list[Any]] = defaultdict(list)
    for several, (_, fact) in zip(keys, facts, strict=True):
        merged[components[several[0]][0]].append(fact)
    with family_code():
        for component in {**merged, **olds}:
            _fold_component(
                family,
                component,
                merged.get(component, ()),
                olds.get(component, {}),
                rules,
                changes,
                writes,
                sweeps,
            )


def _fold_component(
    family: Family[Any, Any],
    scope: bytes,
    facts: Sequence[Any],
    olds: dict[bytes, bytes],
    rules: Rules,
    changes: Changes,
    writes: Writes,
    sweeps: Sweeps,
) -> None:
    """Merge one component: all states it had, and its facts."""
    befores = {root: family.decode(old) for root, old in olds.items()}
    after = family.join(list(befores.values())) if befores else None
    if facts:
        after = family.merge(after, facts)
    after = sweeps.applied(scope, after)
    members = family.members(scope, after)
    root = min(members)
    encoded = family.encode(after)
    if olds == {root: encoded}:
        return
    table = writes.setdefault(family.table, {})
    table.update(dict.fromkeys(olds))
    table[root] = encoded
    was = set(family.members(root, befores[root])) if root in befores else ()
    # Members that are not yet known under this root.
    renamed = {family.code + member: root for member in members if member not in was}
    writes.setdefault(ALIASES, {}).update(renamed)
    sweeps.index(root, after, befores, writes)
    changes.move(
        [part for key, before in befores.items() for part in family.contribution(key, before, rules)],
        family.contribution(root, after, rules),
    )


def _components(
    groups: Iterable[Sequence[bytes]], roots: dict[bytes, bytes], alone: Iterable[bytes]
) -> dict[bytes, list[bytes]]:
    """Return for each key and root all that belong together with it, the same list for all of these."""
    found: dict[bytes, list[bytes]] = {}
    for group in groups:
        mine = _own(found, group[0])
        for key in group:
            mine = _joined(found, mine, key)
            if (root := roots.get(key)) is not None:
                mine = _joined(found, mine, root)
    for key in alone:
        _own(found, key)
    return found


def _own(found: dict[bytes, list[bytes]], key: bytes) -> list[bytes]:
    """Return what belongs together with a key; at first it is alone."""
    mine = found.get(key)
    if mine is None:
        mine = found[key] = [key]
    return mine


def _joined(found: dict[bytes, list[bytes]], mine: list[bytes], key: bytes) -> list[bytes]:
    """Return what belongs together once a key belongs here."""
    theirs = found.get(key)
    if theirs is None:
        mine.append(key)
        found[key] = mine
    elif theirs is not mine:
        if len(theirs) > len(mine):
            mine, theirs = theirs, mine
        mine += theirs
        for other in theirs:
            found[other] = mine
    return mine
