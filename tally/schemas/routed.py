"""What one raw event comes to: facts, bad parts, and what was seen by name."""

from typing import Any

import orjson
from msgspec import Struct

from tally.schemas.bounds import BAD_PARTS
from tally.schemas.errors import Bad, BadEvent
from tally.schemas.facts import Fact
from tally.schemas.records import Keyed, KeyedFact
from tally.schemas.scan import check_size


class Routed(Struct, gc=False):
    """The outcome of reading one raw event; its good parts count whatever its bad parts are."""

    facts: list[Keyed] = []
    bad: list[Bad] = []
    """The bad parts, the first hundred of them."""
    refused: int = 0
    """How many bad parts there are in all."""
    seen: list[tuple[str, str]] = []
    """(kind, name) of each thing the event held; names come from closed lists, the rest is `other`."""

    def refuse(self, bad: Bad, place: str = "", index: int = 0) -> None:
        """Note a bad part; `place` is the list that it is in, and the bad part's path goes on from there."""
        self.refused += 1
        if self.refused > BAD_PARTS.most:
            return
        self.bad.append(Bad(bad.reason, f"{place}[{index}]{bad.path}", bad.expected) if place else bad)

    def add(self, family: bytes, key: bytes, fact: Fact) -> None:
        """Take one fact."""
        self.facts.append(KeyedFact(family, key, fact))

    def see(self, kind: str, name: str, known: frozenset[str]) -> None:
        """Count a name of a closed list."""
        self.seen.append((kind, name if name in known else "other"))

    def see_unknown(self, kind: str, part: dict[str, Any], known: frozenset[str]) -> None:
        """Count the fields of a part that nobody has told us of."""
        if not known.issuperset(part):
            self.seen += [("unknown_field", kind)] * len(part.keys() - known)


def read_object(value: bytes | None) -> dict[str, Any]:
    """Decode a raw event's JSON object.

    Raises BadEvent: `too_large`, `too_many_parts`, `not_text` (no UTF-8), `not_json`, `wrong_type` (JSON,
    but no object).
    Of repeated keys the last holds; integers beyond 64 bits become floats (both orjson's way).
    """
    if value is not None:
        check_size(value)
    try:
        body = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        raise BadEvent("not_json" if _is_text(value or b"") else "not_text") from None
    if type(body) is not dict:
        raise BadEvent("wrong_type")
    return body


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
