"""Folding subjects whose identity is only learnt later: connected components (E9)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tally.agents.fold.failure import family_code
from tally.agents.fold.missing import mark_beyond
from tally.agents.fold.resync import Sweeps, latest_sweeps
from tally.agents.fold.revealing import all_subjects
from tally.agents.fold.steps import STEP_BYTES, Batch, chunks, merging
from tally.schemas.topics import ALIASES
from tally.tables.families.family import Family
from tally.tables.pieces import Steps
from tally.tables.rules import Rules
from tally.tables.store.interface import Reader

ALIASES_AT_ONCE = 1_000


def fold_connected(
    family: Family[Any, Any],
    facts: list[tuple[bytes, Any]],
    reader: Reader,
    rules: Rules,
    batch: Batch,
    is_swept: bool,
) -> Steps[None]:
    """Fold facts that may show that several subjects are one, a component a step.

    Where a fact connects subjects, their states merge under the smallest key, and their contributions give
    way to that of the union, in the same batch. `is_swept`, and what is raised: see `fold_steps`.
    """
    sweeps = latest_sweeps(family, reader, [key for key, _ in facts])
    facts, unheard = sweeps.take(facts, reader, batch, is_swept)
    yield
    keys = yield from all_subjects(family, facts, reader)
    yield
    named = {key: None for several in keys for key in several}
    roots = yield from _roots_of(family, named, reader)
    components = components_of(keys, roots, unheard)
    yield
    merged: dict[bytes, list[Any]] = defaultdict(list)
    for several, (_, fact) in zip(keys, facts, strict=True):
        merged[components[several[0]][0]].append(fact)
    known: dict[bytes, list[bytes]] = defaultdict(list)
    for root in {*roots.values(), *unheard}:
        known[components[root][0]].append(root)
    yield
    named_in = {component: components[component] for component in merged}
    yield from _fold_components(family, merged, known, named_in, reader, rules, batch, sweeps)


def fold_swept(
    family: Family[Any, Any],
    subjects: Sequence[bytes],
    reader: Reader,
    rules: Rules,
    batch: Batch,
    sweeps: Sweeps,
) -> Steps[None]:
    """Apply sweeps to subjects of which nothing new is known, a subject a step."""
    known = {root: [root] for root in subjects}
    yield from _fold_components(family, {}, known, {}, reader, rules, batch, sweeps)


def aliases_of(family: Family[Any, Any], named: Iterable[bytes], reader: Reader) -> Steps[dict[bytes, bytes]]:
    """Return what each subject's alias says, of those that have one."""
    found: dict[bytes, bytes] = {}
    for some in chunks(named, ALIASES_AT_ONCE):
        aliases = reader.get_many(ALIASES, [family.code + key for key in some])
        found.update((key, alias) for key, alias in zip(some, aliases, strict=True) if alias is not None)
        yield
    return found


def _roots_of(family: Family[Any, Any], named: Iterable[bytes], reader: Reader) -> Steps[dict[bytes, bytes]]:
    """Return the key under which each subject's state lives, of those that have one."""
    roots = yield from aliases_of(family, named, reader)
    moved = dict.fromkeys(roots.values(), b"")
    while moved:
        # A state beyond its bound does not know all of its members: where it moved, its former keys lead on.
        some = list(moved)
        aliases = reader.get_many(ALIASES, [family.code + root for root in some])
        moved = {root: on for root, on in zip(some, aliases, strict=True) if on not in (None, root)}
        roots.update((key, moved[root]) for key, root in roots.items() if root in moved)
        moved = dict.fromkeys(moved.values(), b"")
    return roots


def _fold_components(
    family: Family[Any, Any],
    merged: Mapping[bytes, Sequence[Any]],
    known: Mapping[bytes, Sequence[bytes]],
    named_in: Mapping[bytes, Sequence[bytes]],
    reader: Reader,
    rules: Rules,
    batch: Batch,
    sweeps: Sweeps,
) -> Steps[None]:
    """Fold components, each with its facts, the keys of the states that it had, and all keys named for it."""
    for some in chunks({**merged, **known}):
        wanted = [root for component in some for root in known.get(component, ())]
        olds = dict(zip(wanted, reader.get_many(family.table, wanted), strict=True))
        state_bytes = 0
        with family_code():
            for component in some:
                had = {root: old for root in known.get(component, ()) if (old := olds[root]) is not None}
                facts = merged.get(component, ())
                if facts or had:
                    named = named_in.get(component, ())
                    state_bytes += yield from _fold_component(
                        family, component, facts, had, named, rules, batch, sweeps
                    )
                yield
        batch.wrote(state_bytes)


def _fold_component(
    family: Family[Any, Any],
    scope: bytes,
    facts: Sequence[Any],
    olds: dict[bytes, bytes],
    named: Sequence[bytes],
    rules: Rules,
    batch: Batch,
    sweeps: Sweeps,
) -> Steps[int]:
    """Merge one component: all states it had, and its facts; return the bytes of its state."""
    befores = {root: family.decode(old) for root, old in olds.items()}
    is_large = sum(map(len, olds.values())) > STEP_BYTES
    if is_large:
        yield
    after = family.join(list(befores.values())) if befores else None
    if facts:
        after = yield from merging(family, after, facts)
    if is_large:
        yield
    after = sweeps.applied(scope, after)
    members = family.members(scope, after)
    root = min(members)
    encoded = family.encode(after)
    if is_large:
        yield
    writes = batch.writes
    if (bound := family.beyond(after)) is not None:
        # It does not list all that it is known by: whatever was named is led to it all the same.
        writes.setdefault(ALIASES, {}).update((family.code + key, root) for key in named)
        mark_beyond(batch.missing, family, bound, root, befores, after, facts, rules)
        if is_large:
            yield
    if olds == {root: encoded}:
        return 0
    table = writes.setdefault(family.table, {})
    table.update(dict.fromkeys(olds))
    table[root] = encoded
    was = set(family.members(root, befores[root])) if root in befores else ()
    # Members that are not yet known under this root.
    renamed = {family.code + member: root for member in members if member not in was}
    writes.setdefault(ALIASES, {}).update(renamed)
    sweeps.index(root, after, befores, writes)
    parts = [part for key, before in befores.items() for part in family.contribution(key, before, rules)]
    if is_large:
        yield
    batch.changes.move(parts, family.contribution(root, after, rules))
    return len(encoded)


def components_of(
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
