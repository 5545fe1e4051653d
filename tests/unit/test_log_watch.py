"""Logs are compared with what progress knows of them, by topic id and by partitions."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiokafka.errors import KafkaConnectionError

from tally.agents.lag import logs
from tally.agents.lag.logs import Ask, LogWatch, compare
from tally.schemas.rows import LogMark, Progress
from tally.tables.store.errors import LogReplaced, PartitionsChanged
from tally.tables.topic_layout import Layout

TOPICS = {"facts": "facts-g1", "messages": "messages-changelog"}
KNOWN = Progress(
    5, "store", "rules", logs={"facts": LogMark(b"f", 8, 0, 0), "messages": LogMark(b"m", 8, 0, 9)}
)
SAME = {"facts": Layout(b"f", 8, 3), "messages": Layout(b"m", 8, 3)}
MORE = {**SAME, "facts": Layout(b"f", 16, 3)}
OTHER = {**SAME, "messages": Layout(b"n", 8, 3)}


def test_the_same_logs_and_new_ones_are_fit() -> None:
    compare(KNOWN, SAME, TOPICS)
    compare(KNOWN, {**SAME, "cells": Layout(b"c", 8, 3)}, TOPICS)
    compare(None, SAME, TOPICS)


def test_another_topic_and_other_partitions_are_named() -> None:
    with pytest.raises(PartitionsChanged, match="facts-g1 has 16 partitions, and had 8"):
        compare(KNOWN, MORE, TOPICS)
    with pytest.raises(LogReplaced, match="messages-changelog was replaced"):
        compare(KNOWN, OTHER, TOPICS)


@pytest.mark.asyncio
async def test_partitions_that_are_added_while_a_process_runs_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.001)
    looks = [SAME, KafkaConnectionError(), SAME, MORE]

    @asynccontextmanager
    async def connect() -> AsyncIterator[tuple[Ask, Mapping[str, str]]]:
        async def ask() -> Mapping[str, Layout]:
            found: Mapping[str, Layout] | Exception = looks.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        yield ask, TOPICS

    watch = LogWatch(connect, lambda partition: KNOWN if partition == 7 else None, 8)
    with pytest.raises(PartitionsChanged):
        async with asyncio.timeout(20):
            await watch.run()
    assert looks == []
