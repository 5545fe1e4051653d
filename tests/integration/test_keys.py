"""Keys are made and revoked on the command line, and in force in a running worker within two seconds."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import orjson
import pytest

from tally.schemas.topics import API_KEYS
from tally.streams.keys import managing
from tally.streams.keys.key import digest_of, encode, read_presented
from tally.streams.settings import Settings, load
from tests.support.judge import prepare
from tests.support.keys import KEY
from tests.support.servers import Kafka
from tests.support.workers import WorkerProcess, environment_of, said, workers

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240)]

IN_FORCE_SECONDS = 2.0
OF_A_NEWER_VERSION = "a" * 12


@pytest.fixture
def environment(kafka: Kafka, database: str) -> dict[str, str]:
    return environment_of(kafka.bootstrap, database, f"y{uuid4().hex[:8]}-")


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[WorkerProcess]:
    with workers(environment, tmp_path, "w") as (made,):
        yield made


async def status(worker: WorkerProcess, key: str, tenant: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{worker.url}/v1/tenants/{tenant}/campaigns"
    async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as response:
        return response.status


async def until_status(worker: WorkerProcess, key: str, tenant: str, wanted: int) -> float:
    """Return how many seconds it took until a key got this status."""
    began_s = time.monotonic()
    async with asyncio.timeout(30):
        while await status(worker, key, tenant) != wanted:
            await asyncio.sleep(0.02)
    return time.monotonic() - began_s


async def publish_value(settings: Settings, key_id: str, value: bytes) -> None:
    async with settings.kafka.producer() as producer:
        await producer.send_and_wait(settings.names.raw(API_KEYS), value, key_id.encode(), partition=0)


async def test_a_key_is_made_rotated_and_revoked(
    environment: dict[str, str], worker: WorkerProcess, tmp_path: Path
) -> None:
    await prepare(environment)
    worker.start()
    await worker.ready()

    async def keys(*arguments: str) -> tuple[int, str]:
        return await said(environment, tmp_path / "log", "keys", *arguments)

    code, printed = await keys("add", "--tenants", "t1", "--comment", "for the dashboard")
    assert code == 0, printed
    first = read_presented(printed.strip())
    assert first is not None
    assert await until_status(worker, first.text, "t1", 200) <= IN_FORCE_SECONDS
    assert await status(worker, first.text, "t2") == 404

    code, printed = await keys("rotate", first.key_id, "--grace", "1m")
    second = read_presented(printed.strip())
    assert second is not None
    assert await until_status(worker, second.text, "t1", 200) <= IN_FORCE_SECONDS
    assert await status(worker, first.text, "t1") == 200, "the former one goes on for the grace"

    assert await keys("revoke", first.key_id) == (0, f"{first.key_id} opens nothing any more\n")
    assert await until_status(worker, first.text, "t1", 401) <= IN_FORCE_SECONDS
    assert await status(worker, second.text, "t1") == 200
    code, printed = await keys("revoke", first.key_id)
    assert code == 1, printed

    settings, newer = load(environment), orjson.loads(encode(KEY)) | {"networks": []}
    await publish_value(settings, OF_A_NEWER_VERSION, orjson.dumps(newer))
    with pytest.raises(managing.NoSuchKey, match="this version cannot read that key: Object contains"):
        await managing.rotate(settings, OF_A_NEWER_VERSION, 1, 1)
    code, printed = await keys("list", "--json")
    assert [one["id"] for one in json.loads(printed) if one["state"] == "unreadable"] == [OF_A_NEWER_VERSION]
    await managing.revoke(settings, OF_A_NEWER_VERSION, 1)
    known = await managing.all_keys(settings)
    assert (known.closed, known.keys[OF_A_NEWER_VERSION].state(1)) == ({}, "revoked")

    listed = {one["id"]: one for one in json.loads(printed)}
    assert (listed[first.key_id]["state"], listed[second.key_id]["state"]) == ("revoked", "active")
    assert listed[second.key_id]["comment"] == "for the dashboard"
    assert listed[second.key_id]["expires_at"] is None
    logs = worker.log.read_text() + printed
    for one in (first, second):
        assert one.secret not in logs
        assert digest_of(one.secret) not in logs


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("add",), "--tenants must name at least one tenant"),
        (("add", "--tenants", "x" * 129), "--tenants must be ids of 1 to 128 characters"),
        (
            ("add", "--tenants", "t1", "--scopes", "write"),
            "--scopes must be of read, recipients, ingest, admin",
        ),
        (("add", "--tenants", "t1", "--expires", "soon"), "soon: expected a whole number and m, h or d"),
    ],
)
async def test_what_is_no_key_to_make_is_said_in_one_line(
    environment: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], wanted: str
) -> None:
    code, printed = await said(environment, tmp_path / "log", "keys", *arguments)
    assert code == 2
    assert wanted in printed
    assert printed.count("\n") == 1
