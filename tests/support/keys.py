"""A key that opens everything, and clients that show it."""

import asyncio
from typing import Protocol

from tally.oracle.api import DEADLINE_SECONDS, Answers
from tally.schemas.topics import API_KEYS
from tally.streams.keys import managing
from tally.streams.keys.key import ALL_TENANTS, SCOPES, Key, Presented, digest_of
from tally.streams.operations import topics
from tally.streams.settings import Settings

PRESENTED = Presented("0123456789ab", "k" * 43)
KEY = Key(digest_of(PRESENTED.secret), SCOPES, (ALL_TENANTS,), 1_790_000_000_000)
SHOWN = {"Authorization": f"Bearer {PRESENTED.text}"}
LET_IN_SECONDS = 60.0


class Serving(Protocol):
    """A worker with a read API."""

    @property
    def url(self) -> str: ...

    @property
    def metrics_url(self) -> str: ...


def answers_of(worker: Serving, deadline_seconds: float = DEADLINE_SECONDS) -> Answers:
    """Return a client of a worker that may see everything."""
    return Answers(worker.url, worker.metrics_url, PRESENTED.text, deadline_seconds)


async def put_key(settings: Settings) -> None:
    """Let the key of tests in to a deployment."""
    async with asyncio.timeout(LET_IN_SECONDS):
        await topics.declare(settings, only={settings.names.raw(API_KEYS)})
        await managing.publish(settings, PRESENTED.key_id, KEY)
