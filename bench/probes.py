"""Probes: send results of one campaign, each followed until the campaign's answer and Postgres have it.

Several tracks probe side by side, each with a template of its own, so that the counts of one answer say which
probes it has. So many tracks cost no more questions than one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from math import inf
from random import Random

import aiohttp
import asyncpg
from aiokafka import AIOKafkaProducer
from msgspec import Struct, field

from bench.worker import Worker
from tally.simulator.records import SEND_RESULTS, as_producers_write

TENANT, CAMPAIGN = "probes", "probe"
LANGUAGE = "en"
SEEN_SECONDS = 15.0
"""How long a probe is waited for; of a worker that is so far behind its load no figure means anything."""
VIEW_POLL_SECONDS = 0.01
"""A probe is seen up to so much later than it could be. Asking every 2 ms took half a core, and made what was
measured half as long again."""
POSTGRES_POLL_SECONDS = 0.02
HELD = """SELECT template_name, accepted FROM tally.campaign_template_stats
WHERE tenant = $1 AND campaign = $2"""


class Pace(Struct, frozen=True):
    """How many tracks probe, and how."""

    tracks: int
    pause_seconds: float
    """The longest pause of a track between two probes."""
    is_to_postgres: bool
    """Whether a probe is followed to Postgres before the track's next one."""


TO_POSTGRES = Pace(24, 1.0, is_to_postgres=True)
"""The pauses spread probes over the time between two writes."""
TO_VIEW = Pace(8, 0.4, is_to_postgres=False)
IDLE = Pace(1, 0.1, is_to_postgres=False)
"""One at a time: nothing else flows."""


class Probe(Struct):
    """One probe; moments are of the machine's monotonic clock."""

    value: bytes
    partition: int
    offset: int
    """Where it is in the raw topic."""
    acked_s: float
    in_view_s: float = inf
    """Endless where nobody saw it in time; so is a percentile that it takes part in."""
    in_postgres_s: float = inf


class Track(Struct):
    """The probes with one template, of which at most one is under way."""

    nth: int
    published: int = 0
    in_view: int = 0
    in_postgres: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def template(self) -> str:
        """The template of its probes."""
        return f"track_{self.nth}"


def seen(tracks: Mapping[str, Track], counts: Mapping[str, int], place: str) -> None:
    """Note how many probes of each track a place has. Raises AssertionError where that is too many. Pure."""
    for template, count in counts.items():
        track = tracks[template]
        assert count <= track.published, f"{count} probes are counted, {track.published} were published"
        if count > getattr(track, place):
            setattr(track, place, count)
            track.changed.set()


class Prober:
    """Probes one worker."""

    def __init__(self, worker: Worker, seed: int = 1) -> None:
        self._worker = worker
        self._rng = Random(seed)
        self._tracks: dict[str, Track] = {}
        self._postgres_dsn = worker.settings.postgres_dsn.get_secret_value()
        self._url = f"{worker.url}/v1/tenants/{TENANT}/campaigns/{CAMPAIGN}"

    async def __aenter__(self) -> "Prober":
        self._producer = AIOKafkaProducer(**self._worker.settings.kafka.client(), acks="all")
        await self._producer.start()
        self._http = aiohttp.ClientSession()
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
        for track in map(Track, range(pace.tracks)):
            self._tracks.setdefault(track.template, track)

        async def probing(track: Track) -> None:
            while len(found) < count and time.monotonic() < ends_s:
                await asyncio.sleep(self._rng.uniform(0, pace.pause_seconds))
                found.append(await self._probe(track, pace))

        async with self._polling(pace), asyncio.TaskGroup() as tasks:
            for track in list(self._tracks.values())[: pace.tracks]:
                tasks.create_task(probing(track))
        return found

    async def _probe(self, track: Track, pace: Pace) -> Probe:
        """Publish a probe of a track, and wait until it is seen everywhere."""
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
                probe.in_view_s = await _reached(track, lambda: track.in_view >= track.published)
                if pace.is_to_postgres:
                    probe.in_postgres_s = await _reached(track, lambda: track.in_postgres >= track.published)
        return probe

    @asynccontextmanager
    async def _polling(self, pace: Pace) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            polls = [tasks.create_task(self._poll_view())]
            if pace.is_to_postgres:
                polls.append(tasks.create_task(self._poll_postgres()))
            yield
            for poll in polls:
                poll.cancel()

    async def _poll_view(self) -> None:
        while True:
            async with self._http.get(self._url) as response:
                answer = await response.json() if response.status == 200 else {"templates": ()}
            found = {one["template"]["name"]: one["counters"]["accepted"] for one in answer["templates"]}
            seen(self._tracks, found, "in_view")
            await asyncio.sleep(VIEW_POLL_SECONDS)

    async def _poll_postgres(self) -> None:
        while True:
            rows = await self._postgres.fetch(HELD, TENANT, CAMPAIGN)
            found = {row["template_name"]: row["accepted"] or 0 for row in rows}
            seen(self._tracks, found, "in_postgres")
            await asyncio.sleep(POSTGRES_POLL_SECONDS)


async def _reached(track: Track, is_there: Callable[[], bool]) -> float:
    """Wait until a poll has found the track's probe; return the moment."""
    while not is_there():
        track.changed.clear()
        await track.changed.wait()
    return time.monotonic()


def _body(track: Track) -> dict[str, object]:
    nth = track.published
    return {
        "tenant": TENANT,
        "channel": "whatsapp",
        "campaign": CAMPAIGN,
        "contact": {"id": nth, "phone": f"316{track.nth:02d}{nth:06d}"},
        "outcome": "accepted",
        "template": {"name": track.template, "language": LANGUAGE},
        "phone_number_id": f"10654{nth % 64:04d}",
        "message_id": f"wamid.{track.nth}-{nth}",
        "time": round(time.time() * 1000),
    }
