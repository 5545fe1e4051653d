"""Probes: send results, each followed until the campaign's answer or Postgres has it.

Several tracks probe side by side, each with a template of its own, so that the counts of one answer say which
probes it has. So many tracks cost no more questions than one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from math import inf
from random import Random

import aiohttp
import asyncpg
from aiokafka import AIOKafkaProducer
from msgspec import Struct, field

from bench.worker import Worker
from tally.simulator.records import SEND_RESULTS, as_producers_write
from tests.support.keys import SHOWN

TENANT = "probes"
LANGUAGE = "en"
SEEN_SECONDS = 15.0
"""How long a probe is waited for; of a worker that is so far behind its load no figure means anything."""
VIEW_POLL_SECONDS = 0.01
"""A probe is seen up to so much later than it could be. Asking every 2 ms took half a core, and made what was
measured half as long again; so did asking every 10 ms for a campaign with 24 templates."""
POSTGRES_POLL_SECONDS = 0.02
HELD = """SELECT template_name, accepted FROM tally.campaign_template_stats
WHERE tenant = $1 AND campaign = $2"""


class Pace(Struct, frozen=True):
    """How many tracks probe, and how."""

    tracks: int
    pause_seconds: float
    """The longest pause of a track between two probes."""
    campaign: str
    """The campaign of all its probes; its answer has a template for each track."""
    is_to_postgres: bool = False
    """Whether probes are followed to Postgres, else to the campaign's answer.

    Never both: questions to the one would slow the other.
    """


TO_POSTGRES = Pace(24, 1.0, "stored", is_to_postgres=True)
"""The pauses spread probes over the time between two writes."""
TO_VIEW = Pace(4, 0.2, "seen")
IDLE = Pace(1, 0.1, "seen")
"""One at a time: nothing else flows."""


class Probe(Struct):
    """One probe; moments are of the machine's monotonic clock."""

    value: bytes
    partition: int
    offset: int
    """Where it is in the raw topic."""
    acked_s: float
    seen_s: float = inf
    """Endless where nobody saw it in time; so is a percentile that it takes part in."""

    @property
    def delay_s(self) -> float:
        """How long after its acknowledgement it was seen."""
        return self.seen_s - self.acked_s


class Track(Struct):
    """The probes with one template, of which at most one is under way."""

    nth: int
    campaign: str
    published: int = 0
    seen: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def template(self) -> str:
        """The template of its probes."""
        return f"track_{self.nth}"


def note(tracks: Mapping[str, Track], counts: Mapping[str, int]) -> None:
    """Note how many probes of each track are seen. Raises AssertionError where that is too many. Pure."""
    for template, count in counts.items():
        track = tracks[template]
        assert count <= track.published, f"{count} probes are counted, {track.published} were published"
        if count > track.seen:
            track.seen = count
            track.changed.set()


class Prober:
    """Probes one worker."""

    def __init__(self, worker: Worker, seed: int = 1) -> None:
        self._worker = worker
        self._rng = Random(seed)
        self._tracks: dict[str, dict[str, Track]] = {}
        """By campaign and template."""
        self._postgres_dsn = worker.settings.postgres_dsn.get_secret_value()
        self._url = f"{worker.url}/v1/tenants/{TENANT}/campaigns/"

    async def __aenter__(self) -> "Prober":
        self._producer = AIOKafkaProducer(**self._worker.settings.kafka.client(), acks="all")
        await self._producer.start()
        self._http = aiohttp.ClientSession(headers=SHOWN)
        self._postgres = await asyncpg.connect(self._postgres_dsn)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()
        await self._http.close()
        await self._postgres.close()

    async def probed(self, pace: Pace, count: int, seconds: float) -> list[Probe]:
        """Return `count` probes, or as many as `seconds` allow. Raises AssertionError for a wrong count."""
        found: list[Probe] = []
        ends_s = time.monotonic() + seconds
        tracks = self._tracks.setdefault(pace.campaign, {})
        for nth in range(pace.tracks):
            track = Track(nth, pace.campaign)
            tracks.setdefault(track.template, track)

        async def probing(track: Track) -> None:
            while len(found) < count and time.monotonic() < ends_s:
                await asyncio.sleep(self._rng.uniform(0, pace.pause_seconds))
                found.append(await self._probe(track))

        async with self._polling(pace), asyncio.TaskGroup() as tasks:
            for track in list(tracks.values())[: pace.tracks]:
                tasks.create_task(probing(track))
        return found

    async def _probe(self, track: Track) -> Probe:
        """Publish a probe of a track, and wait until it is seen."""
        track.published += 1
        value = as_producers_write(_body(track))
        acked = await self._producer.send_and_wait(
            self._worker.settings.names.raw(SEND_RESULTS),
            value,
            partition=self._rng.randrange(self._worker.settings.partitions),
        )
        probe = Probe(value, acked.partition, acked.offset, time.monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(SEEN_SECONDS):
                while track.seen < track.published:
                    track.changed.clear()
                    await track.changed.wait()
                probe.seen_s = time.monotonic()
        return probe

    @asynccontextmanager
    async def _polling(self, pace: Pace) -> AsyncIterator[None]:
        poll = self._poll_postgres if pace.is_to_postgres else self._poll_view
        async with asyncio.TaskGroup() as tasks:
            polling = tasks.create_task(poll(pace.campaign))
            yield
            polling.cancel()

    async def _poll_view(self, campaign: str) -> None:
        while True:
            async with self._http.get(self._url + campaign) as response:
                answer = await response.json() if response.status == 200 else {"templates": ()}
            found = {one["template"]["name"]: one["counters"]["accepted"] for one in answer["templates"]}
            note(self._tracks[campaign], found)
            await asyncio.sleep(VIEW_POLL_SECONDS)

    async def _poll_postgres(self, campaign: str) -> None:
        while True:
            rows = await self._postgres.fetch(HELD, TENANT, campaign)
            found = {row["template_name"]: row["accepted"] or 0 for row in rows}
            note(self._tracks[campaign], found)
            await asyncio.sleep(POSTGRES_POLL_SECONDS)


def _body(track: Track) -> dict[str, object]:
    nth = track.published
    return {
        "tenant": TENANT,
        "channel": "whatsapp",
        "campaign": track.campaign,
        "contact": {"id": nth, "phone": f"316{track.nth:02d}{nth:06d}"},
        "outcome": "accepted",
        "template": {"name": track.template, "language": LANGUAGE},
        "phone_number_id": f"10654{nth % 64:04d}",
        "message_id": f"wamid.{track.campaign}-{track.nth}-{nth}",
        "time": round(time.time() * 1000),
    }
