"""The job on Faust as its documentation shows it: agents, tables with changelogs, one event at a time."""

import asyncio
import sys
from typing import Any

import faust
import mode.loop
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.peers import job
from bench.peers.process import FirstRecord, settings

COMPACTED = {"cleanup.policy": "compact"}

told = settings()
first = FirstRecord()

app = faust.App(
    told.name,
    broker=f"kafka://{told.bootstrap}",
    store="rocksdb://",
    datadir=told.state,
    topic_partitions=told.partitions,
    table_standby_replicas=0,
    web_enabled=False,
)
webhook_events = app.topic(f"{told.prefix}webhook-events", key_type=bytes)
send_results = app.topic(f"{told.prefix}send-results", key_type=bytes)
facts = {
    what: app.topic(f"{told.name}-{what}", key_type=bytes, internal=True) for what in ("message", "customer")
}
deltas = app.topic(f"{told.name}-deltas", key_type=bytes, internal=True)
published = app.topic(f"{told.name}-rows", key_type=bytes, internal=True, compacting=True)

messages: Any = app.Table("messages", key_type=bytes)
customers: Any = app.Table("customers", key_type=bytes)
rows: Any = app.Table("rows", key_type=bytes, changelog_topic=published)


@app.agent(webhook_events)
async def split_webhooks(bodies: Any) -> None:
    """Publish what webhooks say, keyed by the message or the customer that it is about."""
    async for body in bodies:
        first.note()
        for fact in job.webhook_facts(body):
            await facts[fact["of"]].send(key=fact["key"], value=fact)


@app.agent(send_results)
async def split_send_results(bodies: Any) -> None:
    """Publish what send results say, in the same way."""
    async for body in bodies:
        first.note()
        for fact in job.send_facts(body):
            await facts[fact["of"]].send(key=fact["key"], value=fact)


@app.agent(facts["message"])
async def join_messages(stream: Any) -> None:
    """Join each message's send with its statuses, and publish what changes rows."""
    async for key, fact in stream.items():
        if change := job.count_message(messages.get(key), fact):
            messages[key] = change.state
            for delta in change.deltas:
                await deltas.send(key=delta["row"], value=delta["add"])


@app.agent(facts["customer"])
async def join_customers(stream: Any) -> None:
    """Join each customer's sends with the replies, and publish what changes rows."""
    async for key, fact in stream.items():
        if change := job.count_customer(customers.get(key), fact):
            customers[key] = change.state
            for delta in change.deltas:
                await deltas.send(key=delta["row"], value=delta["add"])


@app.agent(deltas)
async def count_rows(stream: Any) -> None:
    """Add up each row; the changelog of its table is what is published."""
    async for key, delta in stream.items():
        rows[key] = job.added(rows.get(key), delta)


async def make_topics() -> None:
    """Make the job's own topics: Faust leaves unread for minutes what it made just before it subscribed."""
    streams: dict[str, dict[str, str]] = {topic.get_topic_name(): {} for topic in (*facts.values(), deltas)}
    changelogs = {table.changelog_topic_name: COMPACTED for table in (messages, customers, rows)}
    admin = AIOKafkaAdminClient(bootstrap_servers=told.bootstrap)
    await admin.start()
    try:
        await admin.create_topics(
            [
                NewTopic(name, told.partitions, 1, topic_configs=configs)
                for name, configs in (streams | changelogs).items()
            ]
        )
    finally:
        await admin.close()


if __name__ == "__main__":
    # As `faust worker --loop uvloop`, the faster of the loops that its documentation offers.
    mode.loop.use("uvloop")
    asyncio.run(make_topics())
    # Standard output is the harness's: Faust's spinner goes elsewhere, print() is not redirected to a log.
    worker = faust.Worker(app, loglevel="WARN", stdout=sys.stderr, redirect_stdouts=False)
    worker.execute_from_commandline()
