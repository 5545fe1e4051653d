"""The decision how a partition is begun: where Postgres left off, or anew, or not at all. Pure."""

from collections.abc import Mapping

from msgspec import Struct

from tally.schemas.rows import UNFINISHED, Progress
from tally.schemas.topics import CHANGELOGS, Changelog
from tally.tables.postgres.columns import is_older
from tally.tables.postgres.progress import SinkProgress

ANEW = "raise TALLY_GENERATION and count anew"


class SinkStopped(Exception):
    """A partition cannot be written; it is looked at again later. `group` names the cause in metrics."""

    group = "foreign_store"


class ForeignStore(SinkStopped):
    """Postgres holds another store's counters under this generation."""

    def __init__(self, held: str, found: str) -> None:
        super().__init__(
            f"Postgres holds counters of store {held} under this generation, and the logs are of store"
            f" {found}: {ANEW}"
        )


class ForeignTopic(SinkStopped):
    """A log is another topic than the one that Postgres was written from."""

    def __init__(self, log: Changelog, held: str, found: str) -> None:
        super().__init__(
            f"Postgres holds counters from a topic {log} with id {held} under this generation, and its id is"
            f" {found} now: {ANEW}"
        )


class LogTooShort(SinkStopped):
    """A log does not reach from where Postgres left off."""

    def __init__(self, log: Changelog, offset: int, start: int, end: int) -> None:
        super().__init__(
            f"Postgres was written from {log} up to offset {offset}, and it has offsets {start} to {end} now:"
            f" restore it, or {ANEW}"
        )


class Forgotten(SinkStopped):
    """The logs know less than Postgres."""

    def __init__(self, held: int, found: int) -> None:
        super().__init__(
            f"Postgres holds transaction {held} of this partition, and the newest in its logs is {found}:"
            f" restore them, or {ANEW}"
        )


class NewerColumns(SinkStopped):
    """A newer version writes this database: this one would leave its columns behind."""

    group = "newer_columns"

    def __init__(self) -> None:
        super().__init__("a newer version of Tally writes these counters: upgrade this one")


class OtherRules(SinkStopped):
    """Progress names other rules than this process has, and something is derived by them here."""

    group = "other_rules"

    def __init__(self, ours: str, theirs: str) -> None:
        super().__init__(
            f"the fold counts by rules {theirs}, and this process has {ours}: give both the same settings"
        )


class Found(Struct, frozen=True):
    """The logs of a partition as the brokers have them."""

    progress: Progress | None
    """The newest that both logs have; None where nothing was ever counted."""
    topics: Mapping[Changelog, str]
    """Topic ids in hexadecimal."""
    starts: Mapping[Changelog, int]
    ends: Mapping[Changelog, int]


class Ours(Struct, frozen=True):
    """What this process is and has."""

    columns: str
    rules: str | None = None
    """Fingerprint of its rules, where something is derived by them; else None."""


class Begun(Struct, frozen=True):
    """Where and how reading begins."""

    places: Mapping[Changelog, int]
    rules: str
    """Empty while progress names none."""
    since_ms: int
    """Kafka's time of the cut that Postgres holds; of a new epoch this clock's."""
    epoch: int
    is_pruned: bool
    is_cut: bool
    is_new: bool = False
    """Whether everything is read from the start from now on: nothing was missed."""


def begin(
    held: SinkProgress | None,
    found: Found,
    ours: Ours,
    now_ms: int,
    tombstones_ms: float,
    is_anew: bool = False,
) -> Begun | None:
    """Decide where reading begins; `is_anew` asks for a new epoch. None where nothing was ever counted.

    A new epoch begins where Postgres holds nothing of the partition, rows counted by other rules or without
    some columns, or a cut so old that what was deleted since may be gone. Raises SinkStopped.
    """
    if held is not None:
        _check(held, found, ours)
    if found.progress is None:
        return None
    rules = "" if found.progress.rules == UNFINISHED else found.progress.rules
    if ours.rules is not None and rules != ours.rules:
        raise OtherRules(ours.rules, rules)
    if held is None:
        return Begun(found.starts, rules, now_ms, now_ms, is_pruned=False, is_cut=False, is_new=True)
    if is_anew or held.columns != ours.columns or _is_recounted(held.rules, rules):
        return _anew(held, found, rules, now_ms)
    # Both a clock that is ahead and one that is behind make a cut look old: reading anew is never wrong.
    if _lacks(held, found) and abs(now_ms - held.cut_at_ms) > tombstones_ms:
        return _anew(held, found, rules, now_ms)
    return Begun(held.places, held.rules or rules, held.cut_at_ms, held.epoch, held.is_pruned, held.is_cut)


def _anew(held: SinkProgress, found: Found, rules: str, now_ms: int) -> Begun:
    epoch = max(held.epoch + 1, now_ms)
    return Begun(found.starts, rules, now_ms, epoch, is_pruned=False, is_cut=held.is_cut, is_new=True)


def _check(held: SinkProgress, found: Found, ours: Ours) -> None:
    for log in CHANGELOGS:
        if held.topics[log] != found.topics[log]:
            raise ForeignTopic(log, held.topics[log], found.topics[log])
    if found.progress is not None and held.store_id != found.progress.store_id:
        raise ForeignStore(held.store_id, found.progress.store_id)
    for log, offset in held.places.items():
        if not found.starts[log] <= offset <= found.ends[log]:
            raise LogTooShort(log, offset, found.starts[log], found.ends[log])
    if found.progress is None or found.progress.seq < held.seq:
        raise Forgotten(held.seq, 0 if found.progress is None else found.progress.seq)
    if is_older(ours.columns, held.columns):
        raise NewerColumns


def _is_recounted(held: str, rules: str) -> bool:
    return bool(held and rules and held != rules)


def _lacks(held: SinkProgress, found: Found) -> bool:
    """Return whether the logs hold more; one offset beyond a progress record is its transaction's marker."""
    return any(found.ends[log] > offset + 1 for log, offset in held.places.items())
