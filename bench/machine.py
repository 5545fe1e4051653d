"""Describes the machine of a run, without anything that identifies it."""

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from tally.deploy.local.jars import read_lock
from tally.deploy.local.postgres import _binaries

GIB = 1 << 30
OURS = ("tally", "aiokafka", "orjson", "msgspec", "faust-streaming", "rocksdict")
PEERS = ("faust-streaming", "quixstreams", "confluent-kafka", "aiokafka", "orjson", "rocksdict", "uvloop")
VERSION = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
DEADLINE_SECONDS = 30.0


def machine(peers: Path) -> str:
    """Return the machine and the versions of all measured software, as one line of the page."""
    memory_gib = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB)
    kernel = platform.release().partition("-")[0]
    return (
        f"{platform.system()} {kernel} on {platform.machine()}, {cpu_model(_cpuinfo())},"
        f" {len(os.sched_getaffinity(0))} cores, {memory_gib} GiB. Python {platform.python_version()},"
        f" {_told((name, version(name)) for name in OURS)}. The peers have a virtual environment of their"
        f" own: {_told(zip(PEERS, _versions(peers), strict=True))}. Apache Kafka {kafka_version()},"
        f" PostgreSQL {postgres_version()}."
    )


def cpu_model(cpuinfo: str) -> str:
    """Return the model of the first CPU in the text of /proc/cpuinfo; some architectures have none. Pure."""
    for line in cpuinfo.splitlines():
        name, _, model = line.partition(":")
        if name.strip() == "model name":
            return " ".join(model.split())
    return "a CPU that does not say its model"


def kafka_version() -> str:
    """Return the version of the embedded broker."""
    return next(jar.version for jar in read_lock() if jar.artifact == "kafka-clients")


def postgres_version() -> str:
    """Return the version of the embedded PostgreSQL."""
    return _said(str(_binaries() / "postgres"), "--version").split()[-1]


def _cpuinfo() -> str:
    return Path("/proc/cpuinfo").read_text(encoding="utf-8")


def _versions(python: Path) -> list[str]:
    return _said(str(python), "-c", VERSION, *PEERS).split()


def _said(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE_SECONDS)  # noqa: S603
    return ran.stdout


def _told(versions: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions)
