"""Asterisk processes for tests: a dialer's PBX and the carrier it calls over, on free loopback ports."""

import os
import secrets
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tally.deploy.local.ports import LOOPBACK, choose_port
from tally.deploy.local.processes import minimal_environment, wait_until
from tests.asterisk.lock import Release

CONFIG = Path(__file__).with_name("config")
READY = b"Asterisk Ready"
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
PBX_NAME = "pbx01"


class AsteriskDidNotStart(Exception):
    """It ended or was not ready in time; the end of its log is in the message."""


@dataclass(frozen=True)
class Pbx:
    """Where the dialer's PBX is spoken to."""

    ami_port: int
    secret: str
    name: str = PBX_NAME


@contextmanager
def pbx_and_carrier(release: Release, folder: Path) -> Iterator[Pbx]:
    """Run a PBX and the carrier at the other end of its trunk, each with its files below `folder`."""
    pbx = Pbx(choose_port("AMI", 0, 0), secrets.token_hex(8))
    ours, theirs = str(_free_udp_port()), str(_free_udp_port())
    ami = {"ami_port": str(pbx.ami_port), "secret": pbx.secret}
    carrier_values = {"name": "carrier", "sip_port": theirs, "peer_port": ours}
    pbx_values = {"name": pbx.name, "sip_port": ours, "peer_port": theirs, **ami}
    with (
        _running(release, folder / "carrier", "carrier", carrier_values),
        _running(release, folder / "pbx", "pbx", pbx_values),
    ):
        yield pbx


@contextmanager
def _running(release: Release, folder: Path, role: str, values: Mapping[str, str]) -> Iterator[None]:
    root = release.folder
    modules, data = _only(root, "chan_pjsip.so").parent, root / "usr/share/asterisk"
    _configure(folder, role, {**values, "folder": str(folder), "modules": str(modules), "data": str(data)})
    log_path = folder / "log" / "console"
    with log_path.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the program is our own choice
            [*_program(root), "-f", "-n", "-vvv", "-C", str(folder / "etc" / "asterisk.conf")],
            env=minimal_environment(),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, log_path)
        yield
    finally:
        _stop(process)


def _program(root: Path) -> list[str]:
    """Return the command line that runs Asterisk with the libraries of `root` only, by their own loader."""
    libraries = {str(path.parent) for path in root.rglob("lib*.so*") if "lib" in path.parent.parts}
    loader = _only(root, "ld-linux-x86-64.so.2")
    path = os.pathsep.join(sorted(libraries))
    return [str(loader), "--library-path", path, str(root / "usr/sbin/asterisk")]


def _only(root: Path, name: str) -> Path:
    return min(root.rglob(name))


def _configure(folder: Path, role: str, values: Mapping[str, str]) -> None:
    for part in ("etc", "lib", "spool", "run", "log"):
        (folder / part).mkdir(parents=True)
    for source in (*CONFIG.glob("*.conf"), *(CONFIG / role).glob("*.conf")):
        text = source.read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f"<{name}>", value)
        (folder / "etc" / source.name).write_text(text, encoding="utf-8")


def _wait_until_ready(process: subprocess.Popen[bytes], log_path: Path) -> None:
    def answered() -> bool:
        return process.poll() is not None or READY in log_path.read_bytes()

    if not wait_until(answered, READY_SECONDS) or process.poll() is not None:
        end = log_path.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise AsteriskDidNotStart(f"the end of {log_path}:\n{end}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
