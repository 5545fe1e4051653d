"""The fold of parted families: facts connect subjects, and further facts may show one to be several.

An identifier that connects too much stands apart: it connects nothing and is a separate subject. The subjects
that it had connected are parted in the same batch. Hence states are bounded and do not depend on the order of
facts.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Generic

from tally.agents.fold.beyond import scopes_of_parted
from tally.agents.fold.components import Component, Components
from tally.agents.fold.connected import aliases_of
from tally.agents.fold.context import FoldContext
from tally.agents.fold.failure import family_code
from tally.agents.fold.revealing import NamedFact
from tally.agents.fold.steps import AT_ONCE, FACTS_AT_ONCE, STEP_BYTES, chunks, merging
from tally.schemas.tables import ALIASES
from tally.tables.contribution import Part
from tally.tables.families.family import F, PartedFamily, S
from tally.tables.pieces import Steps

Subject = tuple[S, bytes]
"""A state and its encoding."""
APART = b"-"
"""The alias of a subject that stands apart: its state is stored under its own key."""


def fold_parted(
    family: PartedFamily[F, S], facts: Sequence[tuple[bytes, F]], context: FoldContext
) -> Steps[None]:
    """Fold facts in steps of one component, or of some of the subjects that it is parted into."""
    with family_code():
        named = [(family.subjects(key, fact), fact) for key, fact in facts]
    yield
    keys = {key: None for subjects, _ in named for key in subjects}
    roots = yield from aliases_of(family, keys, context.reader)
    components = _components(named, roots)
    yield
    fold = _Parting(family, roots, context)
    for some in chunks(components):
        wanted = list({key for component in some for key in (*component.roots, *component.apart)})
        states = zip(wanted, context.reader.get_many(family.table, wanted), strict=True)
        olds = {key: old for key, old in states if old is not None}
        with family_code():
            for component in some:
                if not fold.as_usual(component, olds):
                    yield from fold.component(component, olds)
                yield
        context.wrote(fold.pop_bytes())
    with family_code():
        yield from fold.apart()
    context.wrote(fold.pop_bytes())


def _components(named: Sequence[NamedFact[F]], roots: dict[bytes, bytes]) -> list[Component[F]]:
    """Group facts into components; if all subjects of a fact stand apart, it belongs to the first of them."""
    apart = {key for key, root in roots.items() if root == APART}
    connecting = {key: root for key, root in roots.items() if root != APART} if apart else roots
    together = Components()
    for subjects, _ in named:
        group = _connecting(subjects, apart) if apart else subjects
        together.union(group[0], group)
    for key, root in connecting.items():
        together.union(key, (root,))
    found: dict[bytes, Component[F]] = {}
    for subjects, fact in named:
        smallest = together.find(_connecting(subjects, apart)[0] if apart else subjects[0])
        component = found.get(smallest)
        if component is None:
            component = found[smallest] = Component()
        component.facts.append(fact)
        component.named += subjects
    for component in found.values():
        keys = list(dict.fromkeys(component.named))
        roots_of = [connecting[key] for key in keys if key in connecting]
        component.roots = list(dict.fromkeys(roots_of)) if len(roots_of) > 1 else roots_of
        if apart:
            component.apart = [key for key in keys if key in apart]
            keys = [key for key in keys if key not in apart]
        component.named = keys
    return list(found.values())


def _connecting(subjects: Sequence[bytes], apart: set[bytes]) -> Sequence[bytes]:
    return [key for key in subjects if key not in apart] or subjects[:1]


class _Parting(Generic[F, S]):
    """The fold of one family in one batch: reads components, and collects the writes."""

    def __init__(self, family: PartedFamily[F, S], roots: dict[bytes, bytes], context: FoldContext) -> None:
        self._family = family
        self._roots = roots
        self._rules = context.rules
        self._context = context
        self._table = context.writes_to(family.table)
        self._aliases = context.writes_to(ALIASES)
        self._written_bytes = 0
        self._apart: defaultdict[bytes, list[S]] = defaultdict(list)
        self._apart_olds: dict[bytes, bytes] = {}

    def pop_bytes(self) -> int:
        """Return the bytes of states written since the last call."""
        taken, self._written_bytes = self._written_bytes, 0
        return taken

    def as_usual(self, component: Component[F], olds: dict[bytes, bytes]) -> bool:
        """Fold a component that is and remains one subject, known or new; return False for any other.

        A fast path for nearly every component: the further checks of `component` would double the time.
        """
        if component.apart or len(component.roots) > 1 or len(component.facts) >= FACTS_AT_ONCE:
            return False
        family = self._family
        named = component.named
        root = min(named)
        old: bytes | None = None
        if component.roots:
            (key,) = component.roots
            if root < key:
                return False
            root, old = key, olds[key]
            if len(old) > STEP_BYTES:
                return False
        before = None if old is None else family.decode(old)
        after = family.merge(before, component.facts)
        if family.stands_apart(after):
            return False
        encoded = family.encode(after)
        if family.is_too_large(encoded):
            return False
        code, roots, aliases = self._family.code, self._roots, self._aliases
        for name in named:
            if roots.get(name) != root:
                aliases[code + name] = root
        if encoded != old:
            self._table[root] = encoded
            self._written_bytes += len(encoded)
            was = family.contribution(root, before, self._rules) if before is not None else ()
            self._context.changes.move(was, family.contribution(root, after, self._rules))
        return True

    def component(self, component: Component[F], olds: dict[bytes, bytes]) -> Steps[None]:
        """Merge one component, part it where it is several subjects, and write what changed."""
        family = self._family
        befores = {root: family.decode(olds[root]) for root in component.roots}
        known = [*befores.values(), *(family.decode(olds[key]) for key in component.apart)]
        yield
        joined = family.join(known) if known else None
        yield
        after = yield from merging(family, joined, component.facts)
        yield
        self._apart_olds.update((key, olds[key]) for key in component.apart)
        connected = []
        beyond: list[bytes] = []
        key = component.any_key
        is_parted = False
        subjects = yield from self._parted(after, component.apart)
        for state, encoded in subjects:
            if family.stands_apart(state):
                (name,) = family.members(key, state)
                if (bound := family.beyond(state)) is not None:
                    beyond.append(name)
                    kind = bound.name
                self._apart[name].append(state)
                is_parted = is_parted or name not in component.apart
            else:
                connected.append((state, encoded))
        if beyond:
            yield from self._mark(kind, beyond, befores, component.facts)
        if not is_parted and len(connected) == 1 and len(befores) <= 1:
            root = min((*component.named, *component.roots))
            if not befores or root in befores:
                # The common case: the subject stays one under its key, and only the named keys may be new.
                self._name(root, component.named, self._roots)
                yield from self._write(befores, olds, {root: connected[0]})
                return
        yield from self._rename(key, befores, olds, connected)

    def _mark(
        self, kind: str, names: Sequence[bytes], befores: dict[bytes, S], facts: Sequence[F]
    ) -> Steps[None]:
        """Mark the subjects that stand apart because their state has outgrown a bound."""
        scopes = scopes_of_parted(self._context, self._family, names, befores, facts)
        for some in chunks(names):
            yield
            for name in some:
                self._context.missing.mark(self._family.code + name, kind, scopes)

    def apart(self) -> Steps[None]:
        """Write the subjects that stand apart, after all components: several of these may hold the same."""
        family, olds = self._family, self._apart_olds
        for key, states in self._apart.items():
            after = family.join(states)
            if key not in olds:
                self._aliases[family.code + key] = APART
                self._context.refused += 1
            befores = {key: family.decode(olds[key])} if key in olds else {}
            yield from self._write(befores, olds, {key: (after, family.encode(after))})

    def _parted(self, state: S, known: Sequence[bytes]) -> Steps[list[Subject[S]]]:
        """Return the subjects in a state, each relieved until it is small enough or cannot be relieved."""
        family = self._family
        rest = list(family.parted(state, known))
        found: list[Subject[S]] = []
        step_bytes = 0
        while rest:
            state = rest.pop()
            encoded = family.encode(state)
            step_bytes += len(encoded)
            if family.is_too_large(encoded):
                yield
                relieved = family.relieved(state)
                yield
                if relieved is not None:
                    rest += family.parted(relieved, ())
                    continue
            found.append((state, encoded))
            if step_bytes > STEP_BYTES or len(found) % AT_ONCE == 0:
                step_bytes = 0
                yield
        return found

    def _rename(
        self,
        key: bytes,
        befores: dict[bytes, S],
        olds: dict[bytes, bytes],
        connected: Sequence[Subject[S]],
    ) -> Steps[None]:
        """Write united or parted subjects, each under the smallest of its keys."""
        family = self._family
        was = {member: root for root, before in befores.items() for member in family.members(root, before)}
        afters: dict[bytes, Subject[S]] = {}
        for state, encoded in connected:
            members = family.members(key, state)
            root = min(members)
            afters[root] = state, encoded
            self._name(root, members, was)
            if len(afters) % AT_ONCE == 0:
                yield
        yield
        yield from self._write(befores, olds, afters)

    def _name(self, root: bytes, members: Iterable[bytes], was: dict[bytes, bytes]) -> None:
        code = self._family.code
        self._aliases.update((code + member, root) for member in members if was.get(member) != root)

    def _write(
        self, befores: dict[bytes, S], olds: dict[bytes, bytes], afters: dict[bytes, Subject[S]]
    ) -> Steps[None]:
        """Replace the former states and contributions by the changed ones."""
        family, rules = self._family, self._rules
        was: list[Part] = []
        now: list[Part] = []
        for key, before in befores.items():
            if key not in afters:
                self._table[key] = None
                was += family.contribution(key, before, rules)
                yield
        step_bytes = 0
        for key, (state, encoded) in afters.items():
            if olds.get(key) == encoded:
                continue
            self._table[key] = encoded
            self._written_bytes += len(encoded)
            if key in befores:
                was += family.contribution(key, befores[key], rules)
                yield
            now += family.contribution(key, state, rules)
            step_bytes += len(encoded)
            if step_bytes > STEP_BYTES:
                step_bytes = 0
                yield
        yield
        self._context.changes.move(was, now)
        yield
