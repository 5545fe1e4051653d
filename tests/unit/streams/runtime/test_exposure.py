"""A process warns at its start about what it exposes, and keeps its files private."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tally.streams.demo.run import log_file
from tally.streams.runtime.exposure import exposed, exposed_pbxs, private_folder
from tally.streams.settings import load

PBX = {"name": "p", "host": "10.0.0.1", "username": "u", "secret": "s"}
LOGIN = {"kafka_username": "u", "kafka_password": "p"}
WRITES = """
import sys
from pathlib import Path
from tally.streams.runtime.exposure import keep_private
from tally.tables.store.local import LocalStore, Meta
keep_private()
store = LocalStore(Path(sys.argv[1]) / "state" / "tally-g1" / "p0")
store.write({"open": {b"k": b"1"}}, Meta("store", {"states": 1}, 0))
store.close()
"""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, []),
        ({"web_host": "localhost"}, []),
        ({"web_host": "::1"}, []),
        ({"web_host": "0.0.0.0"}, ["TALLY_WEB_HOST is 0.0.0.0"]),  # noqa: S104 - what is warned about
        ({"web_host": "tally.example"}, ["TALLY_WEB_HOST is tally.example"]),
        (
            {"kafka_security": "SASL_PLAINTEXT", "kafka_sasl_mechanism": "PLAIN", **LOGIN},
            ["the password travels in the clear"],
        ),
    ],
)
def test_a_worker_says_what_is_open(given: dict[str, str], said: list[str]) -> None:
    found = exposed(load({}, **given))
    assert len(found) == len(said)
    assert all(words in line for words, line in zip(said, found, strict=True))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"auth": "md5"}, []),
        ({"tls": True}, []),
        ({"host": "127.0.0.1"}, []),
        ({}, ["PBX p: the secret travels in the clear"]),
        ({"tls": True, "verify": False}, ["PBX p: its certificate is not checked"]),
    ],
)
def test_a_collector_says_what_is_open(more: dict[str, object], said: list[str]) -> None:
    found = exposed_pbxs(load({"TALLY_AMI_PBXS": json.dumps([{**PBX, **more}])}))
    assert len(found) == len(said)
    assert all(words in line for words, line in zip(said, found, strict=True))


def test_nobody_else_may_read_any_file_of_a_worker_s_state(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITES, str(tmp_path)], check=True, timeout=60)  # noqa: S603
    made = list((tmp_path / "state").rglob("*"))

    assert any(path.suffix == ".sst" for path in made)
    for path in (tmp_path / "state", *made):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir(mode=0o755)

    assert stat.S_IMODE(private_folder(folder).stat().st_mode) == 0o700


def test_a_workers_log_is_its_owners_alone_also_one_that_was_there(tmp_path: Path) -> None:
    path = log_file(tmp_path / "demo", "worker")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("former lines")
    path.chmod(0o644)
    assert log_file(tmp_path / "demo", "worker") == path
    assert (stat.S_IMODE(path.stat().st_mode), path.read_text()) == (0o600, "former lines")
