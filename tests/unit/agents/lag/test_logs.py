"""Logs are compared with progress: topic ids, partition counts, and the start offsets of changelogs."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiokafka.errors import KafkaConnectionError

from tally.agents.lag import logs
from tally.agents.lag.logs import GONE_LOOKS, Ask, Found, LogWatch, compare
from tally.schemas.rows import LogMark, Progress
from tally.tables.kafka.layouts import Layout
from tally.tables.store.errors import LogGone, LogReplaced, LogShrank, PartitionsChanged

TOPICS = {"facts": "facts-g1", "states": "g1-states"}
KNOWN = Progress(
    5, "store", "rules", logs={"facts": LogMark(b"f", 8, 0, 0), "states": LogMark(b"m", 8, 0, 9)}
)
LAYOUTS = {"facts": Layout(b"f", 8, 3), "states": Layout(b"m", 8, 3)}
SAME = Found(LAYOUTS, {("states", 7): 0})
MORE = Found({**LAYOUTS, "facts": Layout(b"f", 16, 3)}, {})
OTHER = Found({**LAYOUTS, "states": Layout(b"n", 8, 3)}, {})
CUT = Found(LAYOUTS, {("states", 7): 4})
NO_FACTS = Found({"states": LAYOUTS["states"]}, {})


def test_the_same_logs_and_new_ones_are_fit() -> None:
    compare(KNOWN, 7, SAME, TOPICS)
    compare(KNOWN, 7, Found({**LAYOUTS, "cells": Layout(b"c", 8, 3)}, {("cells", 7): 9}), TOPICS)
    compare(KNOWN, 6, CUT, TOPICS)


def test_another_topic_other_partitions_and_records_that_are_gone_are_named() -> None:
    with pytest.raises(PartitionsChanged, match="facts-g1 has 16 partitions, and had 8"):
        compare(KNOWN, 7, MORE, TOPICS)
    with pytest.raises(LogReplaced, match="g1-states was replaced"):
        compare(KNOWN, 7, OTHER, TOPICS)
    with pytest.raises(LogShrank, match="g1-states has lost records: it begins at offset 4"):
        compare(KNOWN, 7, CUT, TOPICS)


Seen = Found | Exception


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("looks", "error"),
    [
        ([SAME, KafkaConnectionError(), SAME, MORE], PartitionsChanged),
        ([SAME, CUT], LogShrank),
        # A broker that has just started may not know a topic yet.
        ([*[NO_FACTS] * (GONE_LOOKS - 1), SAME, *[NO_FACTS] * GONE_LOOKS], LogGone),
    ],
)
async def test_what_becomes_of_a_log_while_a_process_runs_ends_it(
    looks: list[Seen], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.001)
    left = list(looks)

    @asynccontextmanager
    async def connect() -> AsyncIterator[tuple[Ask, Mapping[str, str]]]:
        async def ask() -> Found:
            found = left.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        yield ask, TOPICS

    async def progress() -> dict[int, Progress]:
        return {7: KNOWN}

    watch = LogWatch(connect, progress)
    with pytest.raises(error):
        async with asyncio.timeout(20):
            await watch.run()
    assert left == []
