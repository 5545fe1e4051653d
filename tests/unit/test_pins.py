"""Names of faust, mode, aiokafka and aiohttp that Tally uses without a promise of theirs, with versions."""

import ast
import inspect
from importlib.metadata import version
from pathlib import Path

import aiokafka
import pytest
from aiohttp import web_urldispatcher
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web import RequestHandler
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState, TopicPartitionState
from aiokafka.producer import sender
from aiokafka.producer.sender import Sender
from faust.app.base import App
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver
from mode.threads import QueueServiceThread

import tally

SOURCES = Path(tally.__file__).parent
DOCUMENTED = {"_replace", "_exit", "_current_frames"}
"""Python's own, which begin with an underscore all the same."""


@pytest.mark.parametrize(
    ("package", "pinned"),
    [
        ("faust-streaming", "0.15.3"),
        ("mode-streaming", "0.7.1"),
        ("aiokafka", "0.14.0"),
        ("aiohttp", "3.14.5"),
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
        (GroupCoordinator, "fetch_committed_offsets"),
        (AIOKafkaAdminClient, "_send_request"),
        (AIOKafkaClient, "_wait_on_metadata"),
        (AIOKafkaClient, "get_random_node"),
        (Sender, "close"),
        (web_urldispatcher, "_default_expect_handler"),
        (RequestHandler, "_waiter"),
        (RequestHandler, "_messages"),
        (RequestHandler, "_parser"),
        (RequestHandler, "_paused"),
        (RequestHandler, "_reading_paused"),
        (RequestHandler, "_close"),
        (RequestHandler, "_request_in_progress"),
        (RequestHandler, "_handler_waiter"),
        (RequestHandler, "_next_keepalive_close_time"),
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
        (aiokafka.AIOKafkaConsumer, "self._client ="),
        (AIOKafkaAdminClient, "self._client ="),
        (AIOKafkaConnection, "self._protocol = None"),
        (aiokafka.AIOKafkaProducer, "self._closed ="),
        (aiokafka.AIOKafkaProducer, "self._sender ="),
        (aiokafka.AIOKafkaProducer, "self._message_accumulator ="),
    ],
)
def test_attributes_that_are_used_are_set(owner: type, attribute: str) -> None:
    assert attribute in inspect.getsource(owner)


def test_a_producer_waits_by_the_constant_that_is_set_before_it_adds_partitions_again() -> None:
    refused = inspect.getsource(sender.AddPartitionsToTxnHandler).partition("ConcurrentTransactions:")[2]
    assert "return BACKOFF_OVERRIDE" in refused.partition("elif")[0]


def test_a_connection_of_aiohttp_goes_on_as_one_that_takes_usual_requests_relies_on() -> None:
    received = inspect.getsource(RequestHandler.data_received)
    assert "waiter = self._waiter\n" in received
    assert "if messages and waiter is not None and not waiter.done():" in received
    handled = inspect.getsource(RequestHandler.start)
    assert "await self._waiter\n" in handled
    assert "message, payload = self._messages.popleft()" in handled
    assert "self._parser.message_consumed()" in handled
    # What a body goes on with and aiohttp cannot read is queued behind its request.
    assert "(_ErrInfo(status=400, exc=exc, message=exc.message), EMPTY_PAYLOAD)" in received
    stopped = inspect.getsource(RequestHandler.shutdown)
    assert "if self._request_in_progress:" in stopped
    assert "self._handler_waiter = self._loop.create_future()" in stopped
    idle = inspect.getsource(RequestHandler._process_keepalive)
    assert "close_time = self._next_keepalive_close_time\n" in idle
    assert "self._paused" in inspect.getsource(BaseProtocol.pause_writing)
    assert "self._reading_paused = True" in inspect.getsource(BaseProtocol.pause_reading)


def test_a_fetch_asks_for_what_is_set_when_it_is_sent() -> None:
    source = inspect.getsource(Fetcher._get_actions_per_node)
    assert "self._fetch_max_wait_ms," in source
    assert "self._fetch_min_bytes," in source


def test_records_are_dropped_by_the_read_offset_alone() -> None:
    source = inspect.getsource(Consumer._drain_messages)
    assert "get_read_offset = self._read_offset.__getitem__" in source
    assert "if r_offset is None or offset >= r_offset:" in source


def test_every_private_name_of_a_library_that_is_used_is_listed_here() -> None:
    listed = Path(__file__).read_text()
    trees = {path: ast.parse(path.read_text()) for path in SOURCES.rglob("*.py")}
    ours = {name for tree in trees.values() for name in _defined(tree)}
    used = {
        f"{node.attr} in {path.relative_to(SOURCES)}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in ours
    }

    assert used
    assert {one for one in used if one.partition(" ")[0] not in listed} == set()


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def _defined(tree: ast.Module) -> set[str]:
    """Return the private names that a module defines, or sets on its own objects."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}:
                found.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found
