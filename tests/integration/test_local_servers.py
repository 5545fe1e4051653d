"""The embedded servers run as real processes, each on a separate folder."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tally.deploy.local import (
    ChecksumMismatch,
    FolderBusy,
    LocalKafka,
    LocalPostgres,
    LocalServer,
    LocalServers,
    PortTaken,
    ServerDidNotStart,
)
from tally.deploy.local.folder_lock import FolderLock
from tally.deploy.local.jars import kafka_folder, read_lock, verified_jars
from tally.deploy.local.kafka import serves
from tally.deploy.local.kafka_config import META, cluster_id_of, kafka_uuid
from tally.deploy.local.ports import choose_port
from tally.deploy.local.processes import names_path, wait_until
from tally.deploy.local.unprivileged import give_to_account, unprivileged

pytestmark = pytest.mark.long

DEADLINE_SECONDS = 60.0
LARGEST_RECORD_BYTES = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd name, é")


@pytest.fixture(scope="module")
def both(folder: Path) -> Iterator[LocalServers]:
    with LocalServers.start(folder, kafka_port=0, postgres_port=0) as servers:
        yield servers


@pytest.fixture
def other_postgres(tmp_path: Path) -> Iterator[LocalPostgres]:
    server = LocalPostgres.start(tmp_path, port=0)
    try:
        yield server
    finally:
        server.stop()


def processes_of(home: Path) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if names_path(pid, home)]


def listening_addresses(port: int) -> set[str]:
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}


def servers(both: LocalServers) -> tuple[LocalServer, ...]:
    return (both.kafka, both.postgres)


def test_a_second_start_adopts_the_running_server(both: LocalServers, folder: Path) -> None:
    again = LocalServers.start(folder)
    assert (again.kafka.pid, again.kafka.bootstrap) == (both.kafka.pid, both.kafka.bootstrap)
    assert (again.postgres.pid, again.postgres.dsn) == (both.postgres.pid, both.postgres.dsn)
    again.stop()
    assert all(server.alive for server in servers(both)), "only the start that began a server stops it"


def test_a_running_server_is_not_adopted_on_another_port(both: LocalServers, folder: Path) -> None:
    with pytest.raises(FolderBusy, match="already runs on port"):
        LocalKafka.start(folder, port=both.kafka.port + 1)


def test_servers_listen_on_loopback_only(both: LocalServers) -> None:
    loopback = {"0100007F", "0000000000000000FFFF00000100007F"}
    for server in servers(both):
        assert listening_addresses(server.port)
        assert listening_addresses(server.port) <= loopback


def test_a_ctrl_c_in_the_terminal_does_not_reach_the_servers(both: LocalServers) -> None:
    for server in servers(both):
        assert os.getsid(server.pid) == server.pid != os.getsid(0)


@pytest.mark.asyncio
async def test_kafka_keeps_what_it_acknowledged_over_a_kill(both: LocalServers) -> None:
    await make_topic(both.kafka.bootstrap, "kept")
    values = [b"small", b"x" * LARGEST_RECORD_BYTES]
    await produce(both.kafka.bootstrap, "kept", values)
    both.kafka.kill()
    await asyncio.to_thread(both.kafka.restart)
    assert await consume(both.kafka.bootstrap, "kept", len(values)) == values


@pytest.mark.asyncio
async def test_postgres_keeps_what_it_committed_over_a_kill(both: LocalServers) -> None:
    await execute(both.postgres.dsn, "CREATE TABLE kept AS SELECT 42 AS n")
    for end in (both.postgres.kill, both.postgres.stop_immediately, both.postgres.stop):
        await asyncio.to_thread(end)
        await asyncio.to_thread(both.postgres.restart)
        assert await fetch(both.postgres.dsn, "SELECT n FROM kept") == 42


@pytest.mark.asyncio
async def test_postgres_is_18_durable_and_its_user_is_no_superuser(both: LocalServers) -> None:
    dsn = both.postgres.dsn
    assert str(await fetch(dsn, "SHOW server_version")).startswith("18.")
    assert await fetch(dsn, "SHOW fsync") == "on"
    assert await fetch(dsn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    with pytest.raises(asyncpg.InvalidPasswordError):
        await execute(dsn.replace("//tally:", "//tally:not-"), "SELECT 1")


@pytest.mark.asyncio
async def test_kafka_never_makes_a_topic_by_itself(both: LocalServers) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=both.kafka.bootstrap)
    await admin.start()
    try:
        await admin.describe_topics(["never-made"])
        assert "never-made" not in await admin.list_topics()
    finally:
        await admin.close()


def test_what_a_crash_left_does_not_block_a_start(other_postgres: LocalPostgres, tmp_path: Path) -> None:
    other_postgres.kill()
    # After a reboot, the pids of a crashed server may be those of any program, even one of the same user.
    stranger = str(os.getpid())
    pid_file = other_postgres.home / "data" / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(other_postgres.pid), stranger, 1))
    state = other_postgres.home / "server.json"
    state.write_text(state.read_text().replace(str(other_postgres.pid), stranger))
    again = LocalPostgres.start(tmp_path, port=0)
    assert not again.adopted
    again.stop()


NEVER_READY = """
import sys
from pathlib import Path
from tally.deploy.local import LocalPostgres

LocalPostgres.is_ready = lambda self: False
LocalPostgres.start(Path(sys.argv[1]), port=0)
"""


def test_a_server_whose_starter_was_killed_before_it_was_ready_is_adopted(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", NEVER_READY, str(tmp_path)]) as starter:  # noqa: S603
        assert wait_until((tmp_path / "postgres" / "server.json").exists, DEADLINE_SECONDS)
        starter.kill()
    server = LocalPostgres.start(tmp_path)
    assert server.adopted
    server.stop()
    assert processes_of(tmp_path) == []


def test_a_folder_that_is_being_started_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    lock = FolderLock.try_take(tmp_path / "postgres")
    assert lock is not None
    with lock, pytest.raises(FolderBusy, match="locked by a process"):
        LocalPostgres.start(tmp_path, port=0, deadline_seconds=0.2)


def test_a_server_that_dies_at_its_start_shows_the_end_of_its_log(
    other_postgres: LocalPostgres, tmp_path: Path
) -> None:
    other_postgres.stop()
    (other_postgres.home / "data" / "global" / "pg_control").unlink()
    with pytest.raises(ServerDidNotStart, match=r"exited at its start(.|\n)*pg_control"):
        LocalPostgres.start(tmp_path, port=0)
    assert processes_of(tmp_path) == []


def test_a_taken_default_port_gives_way_and_a_taken_chosen_port_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_program:
        taken = other_program.getsockname()[1]
        monkeypatch.setattr(LocalPostgres, "default_port", taken)
        with pytest.raises(PortTaken, match=str(taken)):
            LocalPostgres.start(tmp_path, port=taken)
        server = LocalPostgres.start(tmp_path)
        server.stop()
    assert server.port != taken


def test_a_port_lost_between_the_look_and_the_bind_costs_one_more_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_program:
        lost = other_program.getsockname()[1]
        ports = iter([lost, choose_port("postgres", 0, 0)])
        monkeypatch.setattr("tally.deploy.local.server.choose_port", lambda *_arguments: next(ports))
        server = LocalPostgres.start(tmp_path)
        server.stop()
    assert server.port != lost


def test_another_broker_on_the_port_is_not_taken_for_ours(both: LocalServers) -> None:
    meta = (both.kafka.home / "data" / META).read_text()
    assert serves(both.kafka.port, cluster_id_of(meta))
    assert not serves(both.kafka.port, kafka_uuid())


def test_where_one_server_cannot_start_the_other_is_stopped(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_program, pytest.raises(PortTaken):
        LocalServers.start(tmp_path, kafka_port=other_program.getsockname()[1], postgres_port=0)
    assert processes_of(tmp_path) == []


def test_a_jar_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    for jar in read_lock():
        (tmp_path / jar.file_name).symlink_to(kafka_folder() / jar.file_name)
    changed = tmp_path / read_lock()[0].file_name
    changed.unlink()
    changed.write_bytes(b"something else")
    with pytest.raises(ChecksumMismatch, match=changed.name):
        verified_jars(tmp_path)


AS_NORMAL_USER = """
import os, sys
from pathlib import Path
from tally.deploy.local import LocalServers


assert os.geteuid() != 0
with LocalServers.start(Path(sys.argv[1]), kafka_port=0, postgres_port=0, say=print) as servers:
    print(sorted({os.stat(f"/proc/{server.pid}").st_uid for server in (servers.kafka, servers.postgres)}))
"""


def test_a_normal_user_can_run_both(both: LocalServers) -> None:
    # Not under pytest's own temporary folder, which is closed to other users.
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        cache = home / "cache" / "tally" / kafka_folder().name
        shutil.copytree(kafka_folder(), cache)
        for path in (home, *home.rglob("*")):
            give_to_account(path)
        # Where the interpreter lies in root's private home, the user keeps the right to read it.
        argv = unprivileged(
            [sys.executable, "-c", AS_NORMAL_USER, str(home / ".tally")], Path(sys.executable)
        )
        environment = {"HOME": name, "XDG_CACHE_HOME": str(home / "cache"), "PATH": os.environ["PATH"]}
        done = subprocess.run(  # noqa: S603 - the program is our own choice
            argv,
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert str([home.stat().st_uid]) in done.stdout
        assert "downloading" not in done.stdout
        assert processes_of(home) == []


def test_a_stop_leaves_no_process(other_postgres: LocalPostgres) -> None:
    assert processes_of(other_postgres.home) != []
    other_postgres.stop()
    assert processes_of(other_postgres.home) == []
    assert FolderLock.is_free(other_postgres.home)


async def make_topic(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        largest = {"max.message.bytes": str(LARGEST_RECORD_BYTES + 4096)}
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=largest)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    size_bytes = LARGEST_RECORD_BYTES + 4096
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=size_bytes) as producer,
    ):
        for value in values:
            await producer.send_and_wait(topic, value)


async def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    partition = TopicPartition(topic, 0)
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        AIOKafkaConsumer(
            bootstrap_servers=bootstrap, max_partition_fetch_bytes=LARGEST_RECORD_BYTES
        ) as consumer,
    ):
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [(await consumer.getone()).value for _ in range(count)]


async def execute(dsn: str, statement: str) -> None:
    await fetch(dsn, statement)


async def fetch(dsn: str, query: str) -> object:
    async with asyncio.timeout(DEADLINE_SECONDS):
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()
