"""A rebalance may end while its app is stopping."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from tally.streams.transport.assignment import Assignment
from tally.streams.transport.config import RunLimits, TransportConfig
from tally.streams.transport.consumer import RunConsumer
from tally.tables.kafka.clients import KafkaClients

OURS = {TP("facts", 0), TP("facts", 1)}


def consumer_of(app_stops: bool, heard: list[set[TP]]) -> RunConsumer:
    """Return a consumer without a broker."""
    config = TransportConfig(kafka=KafkaClients(()), assigned=heard.append, revoked=lambda _: None)
    made = cast(RunConsumer, object.__new__(type("Consumer", (RunConsumer,), {"config": config})))
    made.app = cast(Any, SimpleNamespace(should_stop=app_stops))
    made._ours = Assignment(RunLimits(), lambda: None)
    return made


@pytest.mark.asyncio
@pytest.mark.parametrize(("app_stops", "heard"), [(False, [OURS]), (True, [])])
async def test_an_app_that_stops_takes_no_partitions_any_more(
    app_stops: bool, heard: list[set[TP]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        """Do what Faust does where nothing is connected."""

    monkeypatch.setattr(driver.Consumer, "on_partitions_assigned", nothing)
    told: list[set[TP]] = []
    consumer = consumer_of(app_stops, told)
    await consumer.on_partitions_assigned(OURS, 7)

    assert told == heard
    assert all(consumer.owns(tp) is not app_stops for tp in OURS)
