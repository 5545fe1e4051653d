"""Notices: facts about the counting itself, of what is missing from it, and of what was acknowledged of that.

They travel through the facts log as all facts do, so that they are as durable and are counted as exactly.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from tally.schemas.bounds import BOUNDS

Range = tuple[int, int]
"""Offsets [from, to)."""

Scope = tuple[str, str]
"""Whose numbers lack it: tenant and campaign, empty where unknown; or topic and partition."""

ANY_CAMPAIGN = "*"
"""The campaign of a scope that is certainly a tenant's, and of whichever campaign nobody can say.

A campaign of that name shares it: then more is said to be incomplete than is.
"""

NOTICE = b"n"
"""The first byte of a notice in the facts log, where others have their family."""

LOST_RECORDS = "lost_records"
"""Raw records that were gone before route had read them, at most so many."""
REPLACED_TOPIC = "replaced_topic"
"""Partitions of a raw topic that was deleted and re-created; how many records were lost is unknown."""
CODE_FAILURE = "code_failure"
"""Subjects with a fact that our own code could not take."""
TOO_LARGE = "too_large"
"""Subjects that no record can hold."""

OF_TOPICS = (LOST_RECORDS, REPLACED_TOPIC)
"""What cannot be attributed: every number may lack it."""

KINDS: tuple[str, ...] = (
    *OF_TOPICS,
    CODE_FAILURE,
    TOO_LARGE,
    *(bound.name for bound in BOUNDS if bound.kind == "state"),
)
"""Everything that can be missing; a bound's name stands for subjects whose state has outgrown it."""

Unit = Literal["raw records", "partitions", "subjects"]
UNITS: dict[str, Unit] = {LOST_RECORDS: "raw records", REPLACED_TOPIC: "partitions"}
"""What is counted; subjects by default."""


class Reading(Struct, frozen=True, array_like=True, gc=False, tag="reading"):
    """Route begins to read a partition of a raw topic, or goes on behind a gap."""

    topic: str
    """The logical name."""
    partition: int
    topic_id: str
    at_ms: int
    begun_at: int | None = None
    """The offset at which it begins where the group had none."""
    lost: Range | None = None
    """Offsets whose records were gone before they were read."""


class Acknowledged(Struct, frozen=True, array_like=True, gc=False, tag="acknowledged"):
    """So many are known to be missing, as one partition of the facts log counts them."""

    kind: str
    scope: Scope
    count: int
    note: str


Notice = Reading | Acknowledged

_decoder: msgspec.msgpack.Decoder[Notice] = msgspec.msgpack.Decoder(Notice)


def decode_notice(value: bytes | memoryview) -> Notice:
    """Decode a notice from the facts log. Raises msgspec.ValidationError."""
    return _decoder.decode(value)
