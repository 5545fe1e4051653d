"""The raw topics: how each is read, and what its reader counts by name.

What depends on the list derives from it: the topics' declaration, route, lag, metrics, `tally publish`.
The recount in SQL and the simulator know nothing of Tally and have lists of their own; a law compares them.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from tally.schemas import descriptions
from tally.schemas.ami import events
from tally.schemas.ami.reader import Headers, read_ami
from tally.schemas.campaigns import read_campaign
from tally.schemas.conventions import CONVENTIONS, Conventions
from tally.schemas.records import Routed
from tally.schemas.sends.fast import read_send_fast
from tally.schemas.sends.full import OUTCOMES, read_send
from tally.schemas.whatsapp import full, inbound, status
from tally.schemas.whatsapp.fast import read_webhook_fast
from tally.schemas.whatsapp.full import read_webhook

OTHER = "other"
"""Stands for every name that is on no list."""
WITHOUT_TOKEN = frozenset({"without_token"})


class Read(Protocol):
    """Reads one raw record of a topic into facts and bad parts."""

    def __call__(
        self,
        value: bytes | None,
        headers: Headers = (),
        conventions: Conventions = CONVENTIONS,
        published_ms: int | None = None,
        /,
    ) -> Routed:
        """Read one record; only AMI events look at headers."""


class Source(Struct, frozen=True):
    """One raw topic."""

    topic: str
    read: Read
    names: Mapping[str, frozenset[str]]
    """What the reader counts by name, by kind (`Routed.seen`)."""
    is_compacted: bool = False
    """Whether the topic keeps the last record of each key, which then is the partition key of its facts."""


def _webhook(
    value: bytes | None,
    _headers: Headers = (),
    conventions: Conventions = CONVENTIONS,
    published_ms: int | None = None,
) -> Routed:
    numbers = conventions.numbers
    return read_webhook_fast(value, published_ms, numbers) or read_webhook(value, published_ms, numbers)


def _send(
    value: bytes | None,
    _headers: Headers = (),
    conventions: Conventions = CONVENTIONS,
    published_ms: int | None = None,
) -> Routed:
    numbers = conventions.numbers
    return read_send_fast(value, published_ms, numbers) or read_send(value, published_ms, numbers)


def _campaign(
    value: bytes | None,
    _headers: Headers = (),
    _conventions: Conventions = CONVENTIONS,
    published_ms: int | None = None,
) -> Routed:
    return read_campaign(value, published_ms)


SOURCES = (
    Source(
        "webhook-events",
        _webhook,
        {
            "field": full.FIELDS | {OTHER},
            "status": status.STATUSES | status.OTHER_TYPES | {OTHER},
            "message": inbound.TYPES | {OTHER},
            "unknown_field": frozenset({"status"}),
            "value_error": frozenset({"account"}),
            "user_action": full.USER_ACTIONS | {OTHER},
            "wamid": WITHOUT_TOKEN,
        },
    ),
    Source(
        "send-results",
        _send,
        {
            "outcome": frozenset((*OUTCOMES, OTHER)),
            "unknown_field": frozenset({"send_result"}),
            "wamid": WITHOUT_TOKEN,
        },
    ),
    Source("ami-events", read_ami, {"ami_event": events.KNOWN | {"response", OTHER}}),
    Source(
        "campaigns",
        _campaign,
        {"campaign_field": frozenset(descriptions.FIELDS), "unknown_field": frozenset({"campaign"})},
        is_compacted=True,
    ),
)

RAW_TOPICS = tuple(source.topic for source in SOURCES)
COMPACTED = frozenset(source.topic for source in SOURCES if source.is_compacted)
READERS: Mapping[str, Read] = {source.topic: source.read for source in SOURCES}
SEEN: Mapping[str, frozenset[str]] = {
    kind: frozenset().union(*(source.names.get(kind, ()) for source in SOURCES))
    for kind in dict.fromkeys(kind for source in SOURCES for kind in source.names)
}
"""All names that are counted, by kind."""


def key_of(topic: str, value: bytes) -> bytes | None:
    """Return the key that a record needs in a compacted topic; None elsewhere, and where it says nothing."""
    facts = READERS[topic](value).facts if topic in COMPACTED else ()
    return facts[0].key if facts else None
