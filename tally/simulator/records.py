"""Raw records, as a producer would publish them: the output of the simulator."""

import json
from dataclasses import dataclass
from typing import Any

WEBHOOK_EVENTS = "webhook-events"
SEND_RESULTS = "send-results"
AMI_EVENTS = "ami-events"

Json = dict[str, Any]
# A body, after the unix second at which a perfect network would deliver it.
Timed = tuple[int, Json]


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record for a raw topic; `topic` is the logical name, without the prefix from settings."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def as_meta_writes(body: Json) -> bytes:
    r"""Return JSON as Meta writes it: compact, with escaped non-ASCII and slashes (`\u00e4`, `\/`)."""
    return json.dumps(body, separators=(",", ":")).replace("/", "\\/").encode()


def as_producers_write(result: Json) -> bytes:
    """Return JSON as an ordinary producer writes it: compact UTF-8."""
    return json.dumps(result, separators=(",", ":"), ensure_ascii=False).encode()
