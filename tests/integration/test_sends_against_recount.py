"""Fold and recount in SQL agree on send results of contested messages and of contacts beyond a bound."""

import random
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from tally.oracle.comparison import Numbers, differences
from tally.schemas.bounds import ATTEMPT_MESSAGES, ATTEMPTS, CLAIMANTS
from tally.simulator.campaign import campaign
from tally.simulator.population import Size
from tally.simulator.records import SEND_RESULTS, RawRecord
from tests.faults.events import troubled
from tests.integration.test_fold_against_recount import START_S, Key, answers, folded, recounted
from tests.support.seeds import seeds

TEMPLATES = ({"name": "promo", "language": "pt_BR"}, {"name": "promo", "language": "nl"}, None)

CAMPAIGN_PARTS = len(("tenant", "campaign"))
OTHER_OUTCOMES = ("queued", "failed_at_send", "skipped", "cancelled")


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


def contested(rng: random.Random, count: int) -> list[RawRecord]:
    """Return sends of a few messages that attempts of two tenants, several campaigns and none claim."""
    return [
        sent(
            tenant=rng.choice(["t1", "t2"]),
            campaign=rng.choice(["c1", "c2", "c3", None]),
            contact={"id": rng.choice(["8", "9"]), "phone": f"+3160000000{rng.randrange(3)}"},
            attempt=rng.choice([1, 2]),
            template=rng.choice(TEMPLATES),
            phone_number_id=rng.choice(["n1", "n2"]),
            message_id=f"m{rng.randrange(6)}",
            time=START_S * 1000 + rng.randrange(5),
        )
        for _ in range(count)
    ]


async def assert_exact(
    recount_database: str, records: Sequence[RawRecord], rng: random.Random
) -> dict[Key, Numbers]:
    """Compare all numbers, with every tenth record a second time; return them."""
    arrived = [*records, *rng.sample(records, len(records) // 10)]
    rng.shuffle(arrived)
    expected = await recounted(recount_database, arrived)

    found = answers(folded(arrived))

    assert expected
    assert differences(expected, found) == []
    return found


@pytest.mark.asyncio
@pytest.mark.parametrize("more", [-1, 0, 1, 40])
async def test_of_a_contact_with_many_attempts_the_smallest_count(recount_database: str, more: int) -> None:
    rng = random.Random(more)

    await assert_exact(recount_database, of_many_attempts(rng, ATTEMPTS.most + more), rng)


@pytest.mark.asyncio
@pytest.mark.parametrize("more", [0, 1, 40])
async def test_of_a_contact_with_many_calls_the_smallest_attempts_count(
    recount_database: str, more: int
) -> None:
    rng = random.Random(more)

    await assert_exact(
        recount_database, [requested(f"a{n:05d}", moment(rng)) for n in range(ATTEMPTS.most + more)], rng
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("more", [-1, 0, 1, 40])
async def test_of_a_contact_with_many_messages_so_many_count(recount_database: str, more: int) -> None:
    rng = random.Random(more)

    await assert_exact(recount_database, of_many_messages(rng, ATTEMPT_MESSAGES.most + more), rng)


@pytest.mark.asyncio
@pytest.mark.parametrize("more", [-1, 0, 1, 40])
async def test_of_a_message_that_many_attempts_claim_the_smallest_claims_count(
    recount_database: str, more: int
) -> None:
    rng = random.Random(more)
    claims = [
        sent(message_id="test", contact={"id": str(n), "phone": "+31600000001"}, time=moment(rng))
        for n in range(1 + CLAIMANTS.most + more)
    ]
    found = await assert_exact(recount_database, claims, rng)

    assert found["t1", "c1"]["accepted"] == 1
    assert found["t1", "c1"]["claimed_elsewhere"] == CLAIMANTS.most + min(more, 0)


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds())
async def test_contested_messages_leave_no_attempt_without_an_outcome(
    recount_database: str, seed: int
) -> None:
    rng = random.Random(seed)
    found = await assert_exact(recount_database, contested(rng, rng.choice([20, 150])), rng)
    campaigns = [numbers for key, numbers in found.items() if len(key) == CAMPAIGN_PARTS]

    assert any(numbers["claimed_elsewhere"] for numbers in campaigns)
    for numbers in campaigns:  # accepted ones are all there are here
        assert (
            numbers["attempts"] + numbers["duplicates"] == numbers["accepted"] + numbers["claimed_elsewhere"]
        )


@pytest.mark.parametrize("seed", range(3))
def test_in_simulated_campaigns_every_acceptance_is_accepted_or_claimed_elsewhere(seed: int) -> None:
    rng = random.Random(seed)
    records = troubled(rng, campaign(rng, START_S, Size(contacts_per_campaign=60)))
    campaigns = [numbers for key, numbers in answers(folded(records)).items() if len(key) == CAMPAIGN_PARTS]

    assert sum(numbers["claimed_elsewhere"] for numbers in campaigns) > 0
    for numbers in campaigns:
        accepted = numbers["attempts"] - sum(numbers[name] for name in OTHER_OUTCOMES)
        assert accepted + numbers["duplicates"] == numbers["accepted"] + numbers["claimed_elsewhere"]
