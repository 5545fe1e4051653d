"""Frames of a stream: what a viewer gets who has seen everything up to a moment. Pure.

A stream shows state, not events: a frame holds whole entries, and a viewer that was cut off needs no log to
go on, only a process that has read at least what it has been shown.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import orjson
from msgspec import Struct

from tally.agents.view.answer import Json

Event = Literal["snapshot", "change", "receipt", "bye"]
Part = Literal["campaign", "campaigns", "operators", "queues"]
Comparison = Literal["passed", "behind", "older"]

KEPT_TICKS = 60
"""How long it is known what is gone; a viewer that has waited longer gets a snapshot."""
VECTOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18}(?:\.[0-9]{1,18})*)")


class Vector(Struct, frozen=True):
    """How far counters were read: of each partition the number (`seq`) of a transaction.

    Offsets of facts would not do: a recount, and a resync in portions, change rows and move no offset.
    """

    generation: int
    seqs: tuple[int, ...]

    def text(self) -> str:
        """Return it as the id of an event."""
        return f"{self.generation}-{'.'.join(map(str, self.seqs))}"


def read_vector(text: str) -> Vector | None:
    """Return the vector that the id of an event holds; None where it is none of ours."""
    found = VECTOR.fullmatch(text)
    if found is None:
        return None
    return Vector(int(found[1]), tuple(map(int, found[2].split("."))))


def compare(held: Vector, shown: Vector | None) -> Comparison:
    """Return how what a process holds compares to what a viewer was shown before.

    `passed`: no row is older than the one that was shown. Numbers of another generation are not compared; a
    process of an older one is never shown to who has seen a newer one.
    """
    if shown is None or shown.generation < held.generation:
        return "passed"
    if shown.generation > held.generation:
        return "older"
    if len(shown.seqs) != len(held.seqs):
        return "passed"  # no id of this generation
    return "passed" if all(map(int.__ge__, held.seqs, shown.seqs)) else "behind"


class Key(NamedTuple):
    """Names an entry of a feed."""

    part: Part
    name: tuple[str, ...]


class Entry(NamedTuple):
    """A whole entry as JSON, and the version by which a change of it is known."""

    version: bytes
    json: bytes


class Contents(Struct, frozen=True):
    """Everything that a feed shows at one moment."""

    entries: Mapping[Key, Entry]
    held: Vector
    """Read before the entries: no row of them is older."""
    reached: Vector
    """Read after the entries: no row of them is newer."""
    is_whole: bool
    """Whether all tables are open; before that the vectors say nothing of the rows."""
    receipt: Json
    more: Mapping[Part, bool] = {}
    """For each list whether there are further entries that the feed does not show."""
    progress: Json | None = None
    """Where the campaign that is shown stands and how fast it goes: it changes with the clock, so it is in
    each frame; None where none is shown."""


class Frame(NamedTuple):
    """One event of the stream, without its framing."""

    event: Event
    data: bytes
    id: str | None = None


class Feed:
    """What the viewers of the same things see, tick by tick."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.tick = 0
        """Number of the last `show`; 0 before the first."""
        self._parts = parts
        self._contents: Contents | None = None
        self._since: dict[Key, int] = {}
        """The tick in which each entry became what it is."""
        self._gone: dict[Key, int] = {}
        self._more_since = 0
        self._made: dict[int, Frame] = {}
        """Frames of this tick, by the tick that their viewers have seen: made once for all of them."""

    def show(self, contents: Contents) -> None:
        """Take what is there at a new tick."""
        before = self._contents
        known = {} if before is None else before.entries
        self.tick += 1
        for key, entry in contents.entries.items():
            if key not in known or known[key].version != entry.version:
                self._since[key] = self.tick
                self._gone.pop(key, None)
        for key in known.keys() - contents.entries.keys():
            del self._since[key]
            self._gone[key] = self.tick
        if before is None or before.more != contents.more:
            self._more_since = self.tick
        self._gone = {key: tick for key, tick in self._gone.items() if tick > self.tick - KEPT_TICKS}
        self._contents = contents
        self._made.clear()

    def frame(self, seen: int, shown: Vector | None = None) -> Frame:
        """Return the frame for a viewer that has seen everything up to a tick; 0 is nothing yet.

        `shown` is what another process showed it before; until this one holds as much, it gets only receipts.
        """
        contents = self._contents
        if contents is None:
            raise RuntimeError("there is nothing to show yet")
        if not seen:
            how = compare(contents.held, shown)
            if how == "older":
                return bye("older_generation")
            if how == "behind" or not contents.is_whole:
                return Frame("receipt", _json({"receipt": orjson.dumps({**contents.receipt, **_BEHIND})}))
        from_tick = seen if seen > self.tick - KEPT_TICKS else 0
        if from_tick not in self._made:
            self._made[from_tick] = self._make(contents, from_tick)
        return self._made[from_tick]

    def _make(self, contents: Contents, from_tick: int) -> Frame:
        always = {"receipt": orjson.dumps(contents.receipt)}
        if contents.progress is not None:
            always["progress"] = orjson.dumps(contents.progress)
        changed = [key for key in contents.entries if self._since[key] > from_tick]
        gone = [key for key, tick in self._gone.items() if from_tick and tick > from_tick]
        if from_tick and not changed and not gone and self._more_since <= from_tick:
            return Frame("receipt", _json(always))
        members: dict[str, bytes] = {}
        for part in self._parts:
            ours = [contents.entries[key].json for key in changed if key.part == part]
            lost = [key.name for key in gone if key.part == part]
            if part == "campaign":
                if ours or lost or not from_tick:
                    members[part] = ours[0] if ours else b"null"
                continue
            members[part] = b"[" + b",".join(ours) + b"]"
            members[f"{part}_more"] = orjson.dumps(contents.more.get(part, False))
            if from_tick:
                members[f"{part}_gone"] = orjson.dumps(lost)
        event: Event = "change" if from_tick else "snapshot"
        return Frame(event, _json({**members, **always}), contents.reached.text())


_BEHIND = {"state": "catching_up"}


def bye(reason: str) -> Frame:
    """Return the last frame of a stream."""
    return Frame("bye", orjson.dumps({"reason": reason}))


def framed(frame: Frame, retry_ms: int | None = None) -> bytes:
    """Return a frame as server-sent event (WHATWG HTML, 9.2.5); viewers come back `retry_ms` after a cut."""
    lines = [f"event: {frame.event}\n".encode()]
    if frame.id is not None:
        lines.append(f"id: {frame.id}\n".encode())
    if retry_ms is not None:
        lines.append(f"retry: {retry_ms}\n".encode())
    # JSON as orjson writes it has no line break.
    return b"".join((*lines, b"data: ", frame.data, b"\n\n"))


def _json(members: Mapping[str, bytes]) -> bytes:
    return b"{" + b",".join(b'"%b":%b' % (name.encode(), value) for name, value in members.items()) + b"}"
