"""The fold of connected families: a subject is a connected component, and facts may unite several (E9)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tally.agents.fold.beyond import mark_beyond
from tally.agents.fold.components import Component, Components
from tally.agents.fold.context import FoldContext, Merged
from tally.agents.fold.failure import family_code
from tally.agents.fold.resync import Resyncs, latest_resyncs
from tally.agents.fold.revealing import all_subjects
from tally.agents.fold.steps import STEP_BYTES, chunks, merging
from tally.schemas.tables import ALIASES
from tally.schemas.topics import COUNTERS
from tally.tables.families.family import ConnectedFamily, F, Listing, Resyncable, S
from tally.tables.pieces import Steps
from tally.tables.store.interface import StateReader

ALIASES_AT_ONCE = 1_000


def fold_connected(
    family: ConnectedFamily[F, S], facts: list[tuple[bytes, F]], context: FoldContext, is_resynced: bool
) -> Steps[None]:
    """Fold facts that may show that several subjects are one, one component a step.

    Where a fact connects subjects, their states merge under the smallest key, and the contribution of the
    union replaces theirs, in the same batch. See `fold_steps` for `is_resynced` and the errors raised.
    """
    resyncs: Resyncs[F, S] | None = None
    opened: list[bytes] = []
    if isinstance(family, Resyncable):
        resyncs = latest_resyncs(family, [scope for scope, _ in facts], context.reader)
        facts, opened = resyncs.split(facts, context, is_resynced)
    yield
    named = yield from all_subjects(family, facts, context.reader)
    yield
    keys = {key: None for subjects, _ in named for key in subjects}
    roots = yield from _roots_of(family, keys, context.reader)
    components = Components()
    for subjects, _ in named:
        components.union(subjects[0], subjects)
    for key, root in roots.items():
        components.union(key, (root,))
    for root in opened:
        components.add(root)
    yield
    found: dict[bytes, Component[F]] = {
        smallest: Component(named=keys) for smallest, keys in components.groups().items()
    }
    for subjects, fact in named:
        found[components.find(subjects[0])].facts.append(fact)
    known: dict[bytes, list[bytes]] = defaultdict(list)
    for root in dict.fromkeys((*roots.values(), *opened)):
        known[components.find(root)].append(root)
    for smallest, roots_of in known.items():
        found[smallest].roots = roots_of
    yield
    yield from fold_components(family, found.values(), context, resyncs)


def aliases_of(
    family: ConnectedFamily[F, S], named: Iterable[bytes], reader: StateReader
) -> Steps[dict[bytes, bytes]]:
    """Return the alias of each subject that has one."""
    found: dict[bytes, bytes] = {}
    for some in chunks(named, ALIASES_AT_ONCE):
        aliases = reader.get_many(ALIASES, [family.code + key for key in some])
        found.update((key, alias) for key, alias in zip(some, aliases, strict=True) if alias is not None)
        yield
    return found


def _roots_of(
    family: ConnectedFamily[F, S], named: Iterable[bytes], reader: StateReader
) -> Steps[dict[bytes, bytes]]:
    """Return the key of each subject's state, for the subjects that have one."""
    roots = yield from aliases_of(family, named, reader)
    moved = dict.fromkeys(roots.values(), b"")
    while moved:
        # A state beyond a bound does not list all its members. When it moves, aliases of the others still
        # point to its former key, and that one's alias points on.
        some = list(moved)
        aliases = reader.get_many(ALIASES, [family.code + root for root in some])
        moved = {root: on for root, on in zip(some, aliases, strict=True) if on not in (None, root)}
        roots.update((key, moved[root]) for key, root in roots.items() if root in moved)
        moved = dict.fromkeys(moved.values(), b"")
    return roots


def fold_components(
    family: ConnectedFamily[F, S],
    components: Iterable[Component[F]],
    context: FoldContext,
    resyncs: Resyncs[F, S] | None,
) -> Steps[None]:
    """Fold components, also those without facts: a resync may end them."""
    for some in chunks(components):
        wanted = [root for component in some for root in component.roots]
        olds = dict(zip(wanted, context.reader.get_many(family.table, wanted), strict=True))
        state_bytes = 0
        with family_code():
            for component in some:
                had = {root: old for root in component.roots if (old := olds[root]) is not None}
                if component.facts or had:
                    state_bytes += yield from _fold_component(family, component, had, context, resyncs)
                yield
        context.wrote(state_bytes)


def _fold_component(
    family: ConnectedFamily[F, S],
    component: Component[F],
    olds: dict[bytes, bytes],
    context: FoldContext,
    resyncs: Resyncs[F, S] | None,
) -> Steps[int]:
    """Merge the former states and the facts of a component; return the bytes of state written."""
    befores = {root: family.decode(old) for root, old in olds.items()}
    is_large = sum(map(len, olds.values())) > STEP_BYTES
    if is_large:
        yield
    after = yield from _known(family, befores, component.facts)
    if is_large:
        yield
    if resyncs is not None:
        after = resyncs.applied(component.any_key, after)
    members = family.members(component.any_key, after)
    root = min(members)
    encoded = family.encode(after)
    if is_large:
        yield
    aliases = context.writes_to(ALIASES)
    merged = Merged(root, befores, after, component.facts)
    if (bound := family.beyond(after)) is not None:
        # The state does not list all its members, so each key that its facts name gets an alias here.
        if component.facts:
            aliases.update((family.code + key, root) for key in component.named)
        mark_beyond(context, family, bound, merged)
        if is_large:
            yield
    if olds == {root: encoded}:
        return 0
    table = context.writes_to(family.table)
    table.update(dict.fromkeys(olds))
    table[root] = encoded
    was = set(family.members(root, befores[root])) if root in befores else ()
    # Only members without an alias to this root.
    aliases.update({family.code + member: root for member in members if member not in was})
    if resyncs is not None:
        resyncs.index(merged, context)
    rules = context.rules
    parts = [part for key, before in befores.items() for part in family.contribution(key, before, rules)]
    if is_large:
        yield
    context.changes.move(parts, family.contribution(root, after, rules))
    if isinstance(family, Listing):
        _list(family, merged, context)
    return len(encoded)


def _list(family: Listing[F, S], merged: Merged[F, S], context: FoldContext) -> None:
    """Replace the records of a subject's former states by those of its present one."""
    was: dict[bytes, bytes] = {}
    for key, before in merged.befores.items():
        was |= family.listed(key, before)
    now = family.listed(merged.root, merged.after)
    if was != now:
        gone = dict.fromkeys(was.keys() - now.keys())
        changed = {key: value for key, value in now.items() if was.get(key) != value}
        context.writes_to(COUNTERS).update(gone | changed)


def _known(family: ConnectedFamily[F, S], befores: Mapping[bytes, S], facts: Sequence[F]) -> Steps[S]:
    """Return the join of states and facts; there is at least one of either."""
    if not facts:
        return family.join(list(befores.values()))
    joined = family.join(list(befores.values())) if befores else None
    return (yield from merging(family, joined, facts))
