"""Group B, brokers with access control: the documented rights do, and each that is missing is named."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tally.streams.dev.free_port import free_port
from tally.streams.dev.judging import judged
from tally.streams.settings import variable
from tests.faults.guarded_kafka import (
    ALLOW,
    DENY,
    DESCRIBE,
    DESCRIBE_CONFIGS,
    GROUP,
    LITERAL,
    PREFIXED,
    READ,
    TOPIC,
    TRANSACTIONAL_ID,
    WRITE,
    GuardedKafka,
    Rule,
    guarded_kafka,
    rule,
)
from tests.faults.stack import Stack, deployed
from tests.support.judge import counted, publish, simulated
from tests.support.keys import answers_of
from tests.support.workers import WorkerProcess

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(400)]

PREFIX = "f-"
OURS = "f-tally-g"
EXIT_SECONDS = 60.0
COUNTED_SECONDS = 60.0
EXIT_CODE = 70
DOCUMENTED = (
    *((TOPIC, PREFIX, operation) for operation in (READ, WRITE, DESCRIBE, DESCRIBE_CONFIGS)),
    (GROUP, OURS, READ),
    (TRANSACTIONAL_ID, OURS, WRITE),
    (TRANSACTIONAL_ID, OURS, DESCRIBE),
)
"""What docs/running.md says that a worker needs, where its topics are declared beforehand."""
LACKING = {
    "raw": ((TOPIC, "f-send-results", READ), "Read on topic f-send-results"),
    "numbers": ((TOPIC, "f-numbers", READ), "Read on topic f-numbers"),
    "database": ((TOPIC, "f-deployment", READ), "Read on topic f-deployment"),
    "facts": ((TOPIC, "f-facts-g1", WRITE), "Write on topic f-facts-g1"),
    "letters": ((TOPIC, "f-dead-letters", WRITE), "Write on topic f-dead-letters"),
    "states": (
        (TOPIC, "f-tally-g1-states", WRITE),
        "Write on topic f-tally-g1-states",
    ),
    "seen": ((TOPIC, "f-webhook-events", DESCRIBE), "f-webhook-events: missing, or no right to see it"),
    "configs": ((TOPIC, "f-webhook-events", DESCRIBE_CONFIGS), "grant DescribeConfigs"),
    "group": ((GROUP, "f-tally-g1-route", READ), "Read on group f-tally-g1-route"),
    "sinks": ((GROUP, "f-tally-g1-sink", READ), "Read on group f-tally-g1-sink"),
    "transactions": (
        (TRANSACTIONAL_ID, "f-tally-g1/0", WRITE),
        "grant Write and Describe on this transactional",
    ),
}
"""By user the one right that it lacks, and how its worker says so."""


def documented(user: str) -> list[Rule]:
    return [Rule(user, kind, name, operation, PREFIXED, ALLOW) for kind, name, operation in DOCUMENTED]


def login(user: str) -> dict[str, str]:
    return {
        variable("kafka_security"): "SASL_PLAINTEXT",
        variable("kafka_sasl_mechanism"): "PLAIN",
        variable("kafka_username"): user,
        variable("kafka_password"): user,
    }


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[tuple[Stack, GuardedKafka]]:
    """Run a deployment whose only worker has the documented rights; users that lack one exist as well."""
    async with AsyncExitStack() as closing:
        kafka_class = guarded_kafka(("worker", *LACKING), free_port(0))
        kafka = await asyncio.to_thread(kafka_class.start, folder / "servers", 0)
        closing.callback(kafka.stop)
        bootstraps = {"a": kafka.guarded_bootstrap}
        whole = await deployed(closing, folder, kafka, kafka.bootstrap, bootstraps, [], None, {})
        whole.workers[0].environment.update(login("worker"))
        rules = documented("worker")
        for user, ((kind, name, operation), _) in LACKING.items():
            rules += [*documented(user), Rule(user, kind, name, operation, LITERAL, DENY)]
        await rule(kafka.bootstrap, rules)
        yield whole, kafka


async def said_by(whole: Stack, kafka: GuardedKafka, folder: Path, user: str) -> str:
    """Run a worker as a user until it ends, as it has to; return why it says that it does."""
    own = {**whole.environment, variable("kafka_bootstrap"): kafka.guarded_bootstrap, **login(user)}
    worker = WorkerProcess(own, folder, f"lacks-{user}")
    worker.start()
    try:
        assert await asyncio.to_thread(worker.wait, EXIT_SECONDS) == EXIT_CODE
    finally:
        worker.kill()
    lines = (await asyncio.to_thread(worker.log.read_text)).splitlines()
    ends = [line for line in map(json.loads, lines) if line["level"] == "critical"]
    return str(ends[-1]["error"])


async def test_a_worker_without_one_right_ends_and_names_it_and_with_the_documented_ones_counts_all(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as (whole, kafka):
        await publish(whole.environment, simulated(seed=1, contacts_per_campaign=20))
        # So that the topics of the first generation know whose database it is.
        await whole.start()
        await counted(whole.workers[0], COUNTED_SECONDS)
        whole.held.add(whole.workers[0])
        whole.workers[0].kill()
        said = {user: await said_by(whole, kafka, tmp_path, user) for user in LACKING}
        await publish(whole.environment, simulated(seed=2, contacts_per_campaign=20))
        await whole.start()
        await counted(whole.workers[0], COUNTED_SECONDS)
        async with answers_of(whole.workers[0]) as answers:
            judgement = await judged(whole.settings, answers)

    assert {user: words for user, (_, words) in LACKING.items() if words not in said[user]} == {}, said
    assert [*judgement.in_view, *judgement.in_postgres] == []
    assert whole.exits == []
