"""`tally publish`: publishes raw events from files to the raw topics, for trying things out."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from aiokafka.errors import KafkaError

from tally.schemas.sources import COMPACTED, READERS, key_of
from tally.simulator.records import RawRecord
from tally.streams.cli.output import console, fail, in_words
from tally.streams.dev.publisher import Publisher
from tally.streams.settings import load


def publish(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="a raw event each")],
    topic: Annotated[str, typer.Option(help="the topic; without, the name of each file's folder")] = "",
) -> None:
    """Publish files as raw events, one a file, byte for byte."""
    topics = [topic or file.resolve().parent.name for file in files]
    unknown = sorted(set(topics) - READERS.keys())
    if unknown:
        fail(f"no such raw topic: {', '.join(unknown)}; there are {', '.join(READERS)}", code=2)
    records = [_record(name, file) for name, file in zip(topics, files, strict=True)]
    try:
        asyncio.run(_publish(records))
    except (KafkaError, TimeoutError) as error:
        fail(in_words(error))
    console.print(f"{len(records)} events published", highlight=False)


def _record(topic: str, file: Path) -> RawRecord:
    value = file.read_bytes()
    key = key_of(topic, value)
    if key is None and topic in COMPACTED:
        fail(f"{file} says nothing, so that it has no key: see tally check", code=1)
    return RawRecord(topic, key, value)


async def _publish(records: list[RawRecord]) -> None:
    async with Publisher(load()) as publisher:
        await publisher.publish(records, lambda _: None)
