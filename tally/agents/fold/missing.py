"""What one transaction records as missing: notices from the facts log, and incomplete subjects. Pure.

A subject is marked once, however many of its facts are quarantined. The mark names each campaign that the
subject may count for: those of the rows that its state or the fact contributes to. Without any, the mark
concerns everybody.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from tally.schemas.missing import Subjects, Value, decode_missing, joined, noticed, subjects_key
from tally.schemas.notices import ANY_CAMPAIGN, Notice, Scope
from tally.schemas.rows import encode
from tally.schemas.tables import INCOMPLETE
from tally.schemas.topics import COUNTERS
from tally.tables.contribution import Part
from tally.tables.store.interface import StateReader, Writes

EVERYBODY: Scope = ("", "")
MOST_SCOPES = 1_000
"""Campaigns that the marks of one subject name; a subject of more concerns everybody."""


class Mark(Struct, frozen=True, array_like=True):
    """The entry of a subject in the table `incomplete`: by kind, the scopes that it makes incomplete."""

    scopes: dict[str, tuple[Scope, ...]] = {}


_decode_mark = msgspec.msgpack.Decoder(Mark).decode


class Missing:
    """The notices and marks that one transaction adds; reads fall through to the tables."""

    def __init__(self, reader: StateReader) -> None:
        self._reader = reader
        self._values: dict[bytes, Value] = {}
        self._marks: dict[bytes, Mark | None] = {}
        self._more: Counter[tuple[str, Scope]] = Counter()

    def notice(self, notice: Notice) -> None:
        """Add a notice."""
        key, said = noticed(notice)
        known = self._value(key)
        self._values[key] = said if known is None else joined(known, said)

    def mark(
        self, subject: bytes, kind: str, scopes: Iterable[Scope], formerly: Iterable[bytes] = ()
    ) -> None:
        """Mark a subject in the scopes where it is not marked yet; `formerly` are its other keys so far."""
        kinds: dict[str, set[Scope]] = {}
        for key in (subject, *formerly):
            for name, those in self._mark(key).scopes.items():
                kinds.setdefault(name, set()).update(those)
        known = kinds.setdefault(kind, set())
        # No scopes mean everybody only in the first mark: a marked subject may count for no campaign later.
        fresh = _fresh(known, set(scopes) or (set() if known else {EVERYBODY}))
        known |= fresh
        after = Mark({name: tuple(sorted(kinds[name])) for name in sorted(kinds)})
        if after != self._mark(subject):
            self._marks[subject] = after
        self._marks.update((key, None) for key in formerly if self._mark(key).scopes)
        self._more.update((kind, scope) for scope in fresh)

    def writes(self, since_ms: int) -> Writes:
        """Return the writes; `since_ms` is the time of scopes that are incomplete for the first time."""
        for (kind, scope), count in self._more.items():
            key = subjects_key(kind, scope)
            known = self._value(key)
            before = known if isinstance(known, Subjects) else Subjects()
            self._values[key] = Subjects(before.count + count, before.since_ms or since_ms, before.known)
        self._more.clear()
        found: Writes = {}
        if self._values:
            found[COUNTERS] = {key: encode(value) for key, value in self._values.items()}
        if self._marks:
            found[INCOMPLETE] = {
                key: None if mark is None else encode(mark) for key, mark in self._marks.items()
            }
        return found

    def _value(self, key: bytes) -> Value | None:
        if key in self._values:
            return self._values[key]
        (raw,) = self._reader.get_many(COUNTERS, [key])
        return None if raw is None else decode_missing(key, raw)

    def _mark(self, subject: bytes) -> Mark:
        if subject in self._marks:
            return self._marks[subject] or Mark()
        (raw,) = self._reader.get_many(INCOMPLETE, [subject])
        return Mark() if raw is None else _decode_mark(raw)


def _fresh(known: set[Scope], scopes: set[Scope]) -> set[Scope]:
    """Return the scopes that are new to a mark; beyond `MOST_SCOPES` that is everybody.

    A tenant's scope for any campaign is left out where one of its campaigns is named: a fact of a further
    campaign names that one.
    """
    if EVERYBODY in known:
        return set()
    precise = {tenant for tenant, campaign in known | scopes if campaign not in ("", ANY_CAMPAIGN)}
    scopes = {scope for scope in scopes if scope[1] != ANY_CAMPAIGN or scope[0] not in precise}
    return {EVERYBODY} if len(known | scopes) > MOST_SCOPES else scopes - known


def is_marked(raw: bytes | None, kind: str) -> bool:
    """Return whether an entry of the table `incomplete` marks its subject with a kind."""
    return raw is not None and kind in _decode_mark(raw).scopes


def scopes_of(parts: Iterable[Part]) -> set[Scope]:
    """Return tenant and campaign of the rows of parts; in an operator's row the campaign is empty."""
    return {(part.row.tenant, part.row.campaign) for part in parts}
