"""Apache Kafka 4.1 as one process on loopback: broker, controller (KRaft), or both."""

import os
import shutil
import socket
import struct
from pathlib import Path
from typing import BinaryIO, ClassVar

from tally.deploy.local.cache import is_own, own_folder, put_in_place, staging
from tally.deploy.local.jars import download_missing, kafka_folder, verified_jars
from tally.deploy.local.java import ARCHIVED_OPTIONS, JAVA, archive_path, make_archive
from tally.deploy.local.kafka_config import (
    META,
    Node,
    cluster_id_of,
    kafka_uuid,
    meta_properties,
    server_properties,
)
from tally.deploy.local.ports import LOOPBACK, choose_port
from tally.deploy.local.processes import Command, run_tool
from tally.deploy.local.server import LocalServer, Say

CONTROLLER_PORT = 19093
FORMAT_TIMEOUT_SECONDS = 60.0
PROBE_TIMEOUT_SECONDS = 1.0
CHECKPOINT = "bootstrap.checkpoint"
QUICKLY_COMPILED = "-XX:TieredStopAtLevel=1"
"""Leaves out the second compiler: in a broker that lives for minutes it costs more CPU than it saves.

Nine tests with real workers took 103 s of CPU with it, and 79 s without.
"""
JAVA_OPTIONS = (
    *ARCHIVED_OPTIONS,
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dorg.apache.logging.log4j.level=WARN",
    # Java 25 warns about the method by which Kafka unmaps its indexes.
    "--sun-misc-unsafe-memory-access=allow",
)


class LocalKafka(LocalServer):
    """An embedded Kafka broker; `bootstrap` is its address for clients."""

    name = "kafka"
    default_port = 19092
    node: ClassVar[Node] = Node()

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"{LOOPBACK}:{self.port}"

    @classmethod
    def _prepare(cls, home: Path, say: Say) -> None:
        install(kafka_folder(), say)
        data = home / "data"
        if (data / META).exists():
            return
        say("making a new Kafka data folder")
        data.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(kafka_folder() / CHECKPOINT, data / CHECKPOINT)
        # Written last, because this file marks the folder as formatted.
        draft = data / "meta.properties.new"
        draft.write_text(
            meta_properties(cls.node.cluster_id or kafka_uuid(), kafka_uuid(), cls.node.node_id),
            encoding="ascii",
        )
        os.replace(draft, data / META)

    @classmethod
    def _command(cls, home: Path, port: int) -> Command:
        node = cls.node
        if node.voters:
            controller_port = node.controller_port or 0
        else:
            beside_default = None if port == cls.default_port else 0
            controller_port = choose_port("Kafka's controller", beside_default, CONTROLLER_PORT)
        path = home / "server.properties"
        path.write_text(server_properties(node, port, controller_port), encoding="ascii")
        compiler = () if node.is_long_lived else (QUICKLY_COMPILED,)
        return _java(kafka_folder(), *compiler, f"-Xmx{node.heap_mb}m", "kafka.Kafka", str(path))

    def is_ready(self) -> bool:
        """Return whether the broker serves clients now; of a separate controller, whether it listens."""
        meta = (self.home / "data" / META).read_text(encoding="ascii")
        try:
            if not self.node.is_broker:
                # A separate controller talks to brokers only, so its open port is the only sign.
                socket.create_connection((LOOPBACK, self.port), PROBE_TIMEOUT_SECONDS).close()
                return True
            return serves(self.port, cluster_id_of(meta))
        except OSError:
            return False


def serves(port: int, cluster_id: str) -> bool:
    """Return whether the broker on `port` belongs to this cluster and has joined it. Raises OSError.

    An open port is not enough: it may be another broker's, and before the controller has admitted the broker
    no topic can be created. The request is Metadata, version 2, of no topic; the answer holds brokers and
    cluster id.
    """
    client = b"tally"
    body = struct.pack(">hhih", 3, 2, 1, len(client)) + client + struct.pack(">i", 0)
    with socket.create_connection((LOOPBACK, port), PROBE_TIMEOUT_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        with connection.makefile("rb") as stream:
            (size_bytes,) = struct.unpack(">i", _exactly(stream, 4))
            reply = _exactly(stream, size_bytes)
    _correlation, brokers = struct.unpack_from(">ii", reply)
    return bool(brokers > 0 and cluster_id.encode("ascii") in reply)


def _exactly(stream: BinaryIO, size_bytes: int) -> bytes:
    data = stream.read(size_bytes)
    if len(data) < size_bytes:
        raise ConnectionResetError("the broker closed the connection")
    return data


def install(folder: Path, say: Say) -> None:
    """Bring everything that a start needs into the cache, unless it is there.

    Each start verifies the jars against the lock. Files made here that another user could have changed are
    made again.
    """
    own_folder(folder)
    download_missing(folder, say)
    make_archive(folder, say)
    if not is_own(folder / CHECKPOINT):
        say("preparing Kafka (first time only)")
        _format_once(folder)


def _java(folder: Path, *arguments: str) -> Command:
    options = [f"-XX:SharedArchiveFile={archive_path(folder)}", *JAVA_OPTIONS, *arguments]
    # The class path is passed in the environment: 46 paths would hide the server's folder in a process list.
    class_path = os.pathsep.join(map(str, verified_jars(folder)))
    return Command((str(JAVA), *options), {"CLASSPATH": class_path})


def _format_once(folder: Path) -> None:
    """Format a folder with Kafka's own tool, and keep the part that is the same for all: feature levels."""
    with staging(folder) as stage:
        (stage / "server.properties").write_text(server_properties(Node(), 1, 2), encoding="ascii")
        tool = ("kafka.tools.StorageTool", "format", "-t", kafka_uuid(), "-c", "server.properties")
        run_tool(_java(folder, "-Xmx256m", *tool), cwd=stage, timeout_seconds=FORMAT_TIMEOUT_SECONDS)
        put_in_place(stage / "data" / CHECKPOINT, folder / CHECKPOINT)
