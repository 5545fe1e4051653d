"""The transport leans on names that faust, mode and aiokafka do not promise: here they are, with versions."""

import inspect
from importlib.metadata import version

import aiokafka
import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState, TopicPartitionState
from faust.app.base import App
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver
from mode.threads import QueueServiceThread


@pytest.mark.parametrize(
    ("package", "pinned"),
    [
        ("faust-streaming", "0.15.3"),
        ("mode-streaming", "0.7.1"),
        ("aiokafka", "0.14.0"),
        ("cramjam", "2.14.0"),
    ],
)
def test_versions_are_those_that_were_read(package: str, pinned: str) -> None:
    assert version(package) == pinned


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (driver.AIOKafkaConsumerThread, "_create_worker_consumer"),
        (driver.AIOKafkaConsumerThread, "_ensure_consumer"),
        (driver.Consumer, "_new_consumer_thread"),
        (ThreadDelegateConsumer, "_commit"),
        (Consumer, "_commit_handler"),
        (Consumer, "verify_all_partitions_active"),
        (Consumer, "perform_seek"),
        (App, "_new_transport"),
        (QueueServiceThread, "call_thread"),
        (PartitionRecords, "_consumer_record"),
        (fetcher, "MemoryRecords"),
        (SubscriptionState, "subscription"),
        (Assignment, "state_value"),
        (Assignment, "tps"),
        (TopicPartitionState, "has_valid_position"),
        (TopicPartitionState, "position"),
        (TopicPartitionState, "paused"),
    ],
)
def test_names_that_are_used_or_overridden_exist(owner: object, name: str) -> None:
    assert hasattr(owner, name)


@pytest.mark.parametrize(
    ("owner", "attribute"),
    [
        (aiokafka.AIOKafkaConsumer, "self._closed ="),
        (aiokafka.AIOKafkaConsumer, "self._coordinator ="),
        (aiokafka.AIOKafkaConsumer, "self._fetcher ="),
        (Fetcher, "self._records ="),
        (Fetcher, "self._records[tp] = FetchResult("),
        (FetchResult, "self._partition_records ="),
        (Fetcher, "records = MemoryRecords(part_data[-1])"),
        (PartitionRecords, "self._records ="),
        (PartitionRecords, "while records.has_next():\n            next_batch = records.next_batch()"),
        (PartitionRecords, "for record in next_batch:"),
        (PartitionRecords, "record.checksum,"),
        (PartitionRecords, "self._consumer_record(tp, record)"),
        (aiokafka.AIOKafkaConsumer, "self._subscription ="),
        (GroupCoordinator, "self.generation ="),
        (Consumer, "self._read_offset ="),
        (ThreadDelegateConsumer, "self._thread ="),
    ],
)
def test_attributes_that_are_used_are_set(owner: type, attribute: str) -> None:
    assert attribute in inspect.getsource(owner)


def test_records_are_dropped_by_the_read_offset_alone() -> None:
    source = inspect.getsource(Consumer._drain_messages)
    assert "get_read_offset = self._read_offset.__getitem__" in source
    assert "if r_offset is None or offset >= r_offset:" in source
