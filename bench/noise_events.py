"""Events that count and events that count nothing, as AMI packets of PBXs and as webhooks."""

from collections.abc import Iterator
from random import Random

from msgspec import Struct

from bench.load import START_S, Size, load
from tally.schemas.sources import READERS
from tally.simulator.calls import STORIES
from tally.simulator.noise import OF_A_NUMBER, OF_THE_ACCOUNT
from tally.simulator.recorded import Names, received_ms, replayed
from tally.simulator.records import (
    AMI_EVENTS,
    SEND_RESULTS,
    WEBHOOK_EVENTS,
    RawRecord,
    as_meta_writes,
)
from tally.simulator.samples import change_of, sample

PBXS = 8
CALLS_PER_SECOND = 4
CAMPAIGNS = 20


class Events(Struct, frozen=True):
    """The events of one kind to drain."""

    counted: list[RawRecord]
    noise: list[RawRecord]
    before: list[RawRecord] = []
    """Events to drain first: without them `counted` would not count."""


def packets(rng: Random, counted: int, noise: int) -> Events:
    """Return packets of recorded calls: as `counted` those that become facts, as `noise` the others."""
    found = Events([], [])
    for nth in range(counted + noise):
        for record in _call(rng, nth):
            wanted, into = (counted, found.counted) if _counts(record) else (noise, found.noise)
            if len(into) < wanted:
                into.append(record)
        if len(found.counted) == counted and len(found.noise) == noise:
            break
    return found


def webhooks(rng: Random, counted: int, noise: int) -> Events:
    """Return webhooks about messages (statuses, a few replies) with their send results, and noise.

    The noise is real bodies of other webhook fields.
    """
    # A message has nearly three statuses.
    records = load(Size(counted * 2 // 5), rng.randrange(1 << 32))
    sends = [record for record in records if record.topic == SEND_RESULTS]
    statuses = [record for record in records if record.topic == WEBHOOK_EVENTS][:counted]
    idle = _other_fields()
    return Events(statuses, [_of_an_account(rng, rng.choice(idle)) for _ in range(noise)], sends)


def _counts(record: RawRecord) -> bool:
    read = READERS[record.topic](record.value, record.headers)
    assert not read.bad, read.bad
    return bool(read.facts)


def _call(rng: Random, nth: int) -> Iterator[RawRecord]:
    (story,) = rng.choices(list(STORIES), weights=list(STORIES.values()))
    names = Names(f"pbx-{nth % PBXS}", nth, f"v{7000 + nth % CAMPAIGNS}", f"c{nth}", "1")
    for packet in replayed(story, names, START_S + nth // CALLS_PER_SECOND):
        own = {"pbx": names.pbx, "received_at": str(received_ms(packet)), "tenant": "tenant-0"}
        headers = tuple((name, value.encode()) for name, value in own.items())
        yield RawRecord(AMI_EVENTS, names.pbx.encode(), packet, headers)


def _other_fields() -> list[str]:
    """Return the bodies of fields other than `messages` that become no fact, not even a customer's link."""
    bodies = [
        name for name in (*OF_THE_ACCOUNT, *OF_A_NUMBER) if change_of(sample(name))["field"] != "messages"
    ]
    return [name for name in bodies if not _counts(_webhook(name))]


def _webhook(name: str, account: str = "102290129340398") -> RawRecord:
    body = sample(name)
    body["entry"][0]["id"] = account
    return RawRecord(WEBHOOK_EVENTS, None, as_meta_writes(body))


def _of_an_account(rng: Random, name: str) -> RawRecord:
    return _webhook(name, f"10229012934{rng.randrange(10_000):04d}")
