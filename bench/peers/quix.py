"""The job on Quix Streams: streaming dataframes over topics of its own, one transaction a checkpoint."""

from typing import Any

from quixstreams import Application, State
from quixstreams.models import Topic, TopicConfig

from bench.peers import job
from bench.peers.job import Json
from bench.peers.process import FirstRecord, Settings, settings

COMMIT_SECONDS = 0.5


def application(told: Settings) -> Application:
    """Return the application with its whole pipeline: raw topics, two joins, one count."""
    app = Application(
        broker_address=told.bootstrap,
        consumer_group=told.name,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_SECONDS,
        state_dir=told.state,
        loglevel="WARNING",
    )
    own = {what: _own_topic(app, told, what) for what in ("message", "customer", "deltas", "rows")}
    _split(app, told, own)
    _join(app, own)
    # The key of a delta is the key of its row, so it stays.
    app.dataframe(own["deltas"]).apply(_add, stateful=True).to_topic(own["rows"])
    return app


def _own_topic(app: Application, told: Settings, what: str) -> Topic:
    # A record has the time of the raw record that caused it, unless the broker puts its own.
    own_time = {"message.timestamp.type": "LogAppendTime"}
    config = TopicConfig(num_partitions=told.partitions, replication_factor=1, extra_config=own_time)
    return app.topic(f"{told.name}-{what}", key_deserializer="str", key_serializer="str", config=config)


def _split(app: Application, told: Settings, own: dict[str, Topic]) -> None:
    """Publish what raw events say, keyed by the message or the customer that it is about."""
    first = FirstRecord()

    def topic_of(fact: Json, *_: Any) -> Topic:
        return own[fact["of"]]

    for raw, facts in (("webhook-events", job.webhook_facts), ("send-results", job.send_facts)):
        events = app.dataframe(app.topic(f"{told.prefix}{raw}"))
        events = events.update(lambda _: first.note()).apply(facts, expand=True)
        events.to_topic(topic_of, key=lambda fact: fact["key"])


def _join(app: Application, own: dict[str, Topic]) -> None:
    """Keep the state of messages and of customers, and publish what changes rows, keyed by the row."""

    for what, count in (("message", job.count_message), ("customer", job.count_customer)):

        def change(fact: Json, state: State, count: job.Count = count) -> list[Json]:
            changed = count(state.get("known"), fact)
            if changed is None:
                return []
            state.set("known", changed.state)
            return changed.deltas

        deltas = app.dataframe(own[what]).apply(change, stateful=True, expand=True)
        deltas.to_topic(own["deltas"], key=lambda delta: delta["row"])


def _add(delta: Json, state: State) -> list[int]:
    row = job.added(state.get("row"), delta["add"])
    state.set("row", row)
    return row


if __name__ == "__main__":
    application(settings()).run()
