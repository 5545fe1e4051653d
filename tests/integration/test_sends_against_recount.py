"""Send results of contacts beyond a bound: fold and recount in plain SQL say the same."""

import random
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from tally.schemas.bounds import ATTEMPT_MESSAGES, ATTEMPTS
from tally.streams.demo.comparison import differences
from tally.streams.simulator.records import SEND_RESULTS, RawRecord
from tests.integration.test_fold_against_recount import START_S, answers, folded, recounted

TEMPLATES = ({"name": "promo", "language": "pt_BR"}, {"name": "promo", "language": "nl"}, None)


def sent(**fields: Any) -> RawRecord:
    """Return the send result of an attempt, by default an accepted one of WhatsApp."""
    body: dict[str, Any] = {
        "tenant": "t1",
        "channel": "whatsapp",
        "campaign": "c1",
        "contact": {"id": "unknown", "phone": "+31600000001"},
        "template": TEMPLATES[0],
        "phone_number_id": "n1",
        "outcome": "accepted",
        "time": START_S * 1000,
        **fields,
    }
    return RawRecord(SEND_RESULTS, None, orjson.dumps(body))


def requested(attempt: str, time_ms: int) -> RawRecord:
    """Return the result of an attempt of voice that the PBX was asked for."""
    return sent(
        channel="voice",
        outcome="requested",
        attempt=attempt,
        template={"name": "offer"},
        pbx="pbx1",
        call={"action_id": attempt},
        time=time_ms,
    )


def moment(rng: random.Random) -> int:
    return START_S * 1000 + rng.randrange(9_000)


def of_many_attempts(rng: random.Random, count: int) -> list[RawRecord]:
    """Return results of so many attempts of one contact, of several outcomes, templates and times each."""
    records = []
    for n in range(count):
        attempt = f"a{n:05d}"
        for outcome in rng.sample(["queued", "failed", "accepted"], rng.randrange(1, 4)):
            fields: dict[str, Any] = {"attempt": attempt, "outcome": outcome, "time": moment(rng)}
            if outcome == "failed":
                fields["error"] = {"source": "meta", "code": 131026}
            if outcome == "accepted":
                fields["message_id"] = f"m{n}"
            records.append(sent(template=rng.choice(TEMPLATES), **fields))
    return records


def of_many_messages(rng: random.Random, count: int) -> list[RawRecord]:
    """Return results of so many messages of one contact, over a few attempts and two business numbers."""
    return [
        sent(
            attempt=rng.choice(["1", "2", "10"]), phone_number_id=rng.choice(["n1", "n2"]), message_id=f"m{n}"
        )
        for n in range(count)
    ]


async def assert_exact(database: str, records: Sequence[RawRecord], rng: random.Random) -> None:
    arrived = [*records, *rng.sample(records, len(records) // 10)]
    rng.shuffle(arrived)
    expected = await recounted(database, arrived)

    assert expected
    assert differences(expected, answers(folded(arrived))) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("more", [-1, 0, 1, 40])
async def test_of_a_contact_with_many_attempts_the_smallest_count(database: str, more: int) -> None:
    rng = random.Random(more)

    await assert_exact(database, of_many_attempts(rng, ATTEMPTS.most + more), rng)


@pytest.mark.asyncio
@pytest.mark.parametrize("more", [0, 1, 40])
async def test_of_a_contact_with_many_calls_the_smallest_attempts_count(database: str, more: int) -> None:
    rng = random.Random(more)

    await assert_exact(
        database, [requested(f"a{n:05d}", moment(rng)) for n in range(ATTEMPTS.most + more)], rng
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("more", [-1, 0, 1, 40])
async def test_of_a_contact_with_many_messages_so_many_count(database: str, more: int) -> None:
    rng = random.Random(more)

    await assert_exact(database, of_many_messages(rng, ATTEMPT_MESSAGES.most + more), rng)
