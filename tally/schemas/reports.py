"""Reports: what audits and gateways say of themselves once a minute, in a compacted topic. Pure.

A record is small and whole: the newest one of each process is all that anybody needs. Numbers are of closed
lists; no report names a tenant, a campaign, an app or a person.
"""

from collections.abc import Mapping

from msgspec import Struct, ValidationError, json

from tally.schemas.keys import join_parts, split_parts

EVERY_SECONDS = 60.0
"""How often each process reports."""


class Letters(Struct, frozen=True):
    """Dead letters of one reason: how many were found, and when Kafka got the newest."""

    number: int
    last_at_ms: int


class AuditReport(Struct, frozen=True, tag_field="kind", tag="audit"):
    """What `tally audit --every` found last."""

    every_seconds: float
    audited_at_ms: int | None = None
    """When the last audit ended; None before the first."""
    took_ms: int = 0
    rows: int = 0
    behind_rows: int = 0
    """Rows that Postgres or the view were behind with, so that the audit says nothing of them."""
    drift: Mapping[str, int] = {}
    """Counters that differ, by what rows were compared with: 0 where all agree."""
    raw: str = ""
    """Whether the raw topics could be counted again, and if not, why."""
    failures: int = 0
    """Audits that could not be made since this process began."""
    dead_letters: Mapping[str, Letters] = {}
    """By reason, of all that the topic has held since this process began to look."""


class GatewayReport(Struct, frozen=True, tag_field="kind", tag="gateway"):
    """What a gateway has answered since it began."""

    since_ms: int
    is_up: bool
    """Whether the brokers take what is published."""
    answers: Mapping[str, int]
    """Webhooks and handshakes by what became of them."""
    items: Mapping[str, int]
    """Items that producers posted by what became of them."""
    accepted_at_ms: int | None = None
    """When the last webhook was accepted; None for never."""


Report = AuditReport | GatewayReport


class Reporter(Struct, frozen=True, order=True):
    """Who reports: the kind of process, and a name that no other of that kind has."""

    kind: str
    name: str

    def encode(self) -> bytes:
        """Return the record's key."""
        return join_parts(self.kind, self.name)


class BadReport(Exception):
    """A record of the topic is no report."""


_decode = json.Decoder(Report).decode
encode = json.Encoder().encode


def decode(key: bytes | None, value: bytes | None) -> tuple[Reporter, Report | None]:
    """Return a record's reporter and report; None for a removed one. Raises BadReport."""
    try:
        kind, name = split_parts(key or b"")
        return Reporter(kind, name), None if value is None else _decode(value)
    except (ValueError, ValidationError) as error:
        raise BadReport(str(error)) from None
