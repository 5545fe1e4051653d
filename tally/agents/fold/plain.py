"""The fold of plain families: each fact names its one subject, and touches no other. Pure."""

from collections.abc import Mapping, Sequence

from tally.agents.fold.beyond import mark_beyond
from tally.agents.fold.context import FoldContext, Merged
from tally.agents.fold.failure import family_code
from tally.agents.fold.resync import Resyncs, latest_resyncs
from tally.agents.fold.steps import FACTS_AT_ONCE, SMALL_AT_ONCE, SMALL_STEP_BYTES, chunks, merging
from tally.tables.contribution import Part
from tally.tables.families.family import F, PlainFamily, Resyncable, S
from tally.tables.pieces import Steps


def fold_plain(
    family: PlainFamily[F, S], facts: list[tuple[bytes, F]], context: FoldContext, is_resynced: bool
) -> Steps[None]:
    """Fold facts, and open subjects that a resync among them may end; see `fold_steps` for `is_resynced`."""
    resyncs: Resyncs[F, S] | None = None
    opened: list[bytes] = []
    if isinstance(family, Resyncable):
        resyncs = latest_resyncs(family, [scope for scope, _ in facts], context.reader)
        facts, opened = resyncs.split(facts, context, is_resynced)
    facts_of: dict[bytes, list[F]] = {key: [] for key in opened}
    with family_code():
        for key, fact in facts:
            facts_of.setdefault(family.subject(key, fact), []).append(fact)
    yield from fold_subjects(family, facts_of, context, resyncs)


def fold_subjects(
    family: PlainFamily[F, S],
    facts_of: Mapping[bytes, Sequence[F]],
    context: FoldContext,
    resyncs: Resyncs[F, S] | None,
) -> Steps[None]:
    """Merge the facts of subjects and apply resyncs, also to subjects without facts."""
    table = context.writes_to(family.table)
    for some in chunks(facts_of.items(), SMALL_AT_ONCE):
        olds = context.reader.get_many(family.table, [key for key, _ in some])
        state_bytes = step_bytes = 0
        with family_code():
            for (key, facts), old in zip(some, olds, strict=True):
                if step_bytes >= SMALL_STEP_BYTES:  # unchanged states count too
                    step_bytes = 0
                    yield
                before = None if old is None else family.decode(old)
                if len(facts) > FACTS_AT_ONCE:
                    after = yield from merging(family, before, facts)
                elif facts:
                    after = family.merge(before, facts)
                elif before is not None:
                    after = before
                else:
                    continue
                if resyncs is not None:
                    after = resyncs.applied(key, after)
                encoded = family.encode(after)
                step_bytes += len(encoded)
                if (bound := family.beyond(after)) is not None:
                    mark_beyond(context, family, bound, _merged(key, before, after, facts))
                if encoded == old:
                    continue
                table[key] = encoded
                state_bytes += len(encoded)
                if resyncs is not None:
                    resyncs.index(_merged(key, before, after, facts), context)
                _count(family, key, before, after, context)
        yield
        context.wrote(state_bytes)


def _count(family: PlainFamily[F, S], key: bytes, before: S | None, after: S, context: FoldContext) -> None:
    """Replace the contribution of a subject's former state by that of its present one."""
    context.waiting += family.waits(after)
    was: Sequence[Part] = ()
    if before is not None:
        context.waiting -= family.waits(before)
        was = family.contribution(key, before, context.rules)
    now = family.contribution(key, after, context.rules)
    if len(now) > 1 or len(was) > 1:
        context.contested += family.is_contested(now) - family.is_contested(was)
    context.changes.move(was, now)


def _merged(key: bytes, before: S | None, after: S, facts: Sequence[F]) -> Merged[F, S]:
    return Merged(key, {} if before is None else {key: before}, after, facts)
