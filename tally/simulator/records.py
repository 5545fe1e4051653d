"""What the simulator makes: raw records, as a producer would publish them."""

import json
from dataclasses import dataclass
from typing import Any

WEBHOOK_EVENTS = "webhook-events"
SEND_RESULTS = "send-results"
AMI_EVENTS = "ami-events"

Json = dict[str, Any]
# A body, and the unix second at which a perfect network would have brought it.
Timed = tuple[int, Json]


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record for a raw topic; `topic` is the logical name, without the prefix from settings."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def as_meta_writes(body: Json) -> bytes:
    r"""JSON in the bytes that Meta sends: compact, with non-ASCII and slashes escaped (`\u00e4`, `\/`)."""
    return json.dumps(body, separators=(",", ":")).replace("/", "\\/").encode()


def as_producers_write(result: Json) -> bytes:
    """JSON in the bytes of an ordinary producer: compact UTF-8."""
    return json.dumps(result, separators=(",", ":"), ensure_ascii=False).encode()
