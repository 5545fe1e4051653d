"""An audit removes the copies that a killed audit left, but not those of a running one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tally.streams.audit.copies import YOUNG_SECONDS, held, remove_abandoned

ASKED = """
import sys, tempfile, time
from pathlib import Path
from tally.streams.audit.copies import copies
from tally.streams.cli.audit import _leave_when_asked
from tally.streams.settings import load
tempfile.tempdir = sys.argv[1]
_leave_when_asked()
with copies(load({})) as kept:
    kept.store("copy", 0).close()
    print("ready", flush=True)
    time.sleep(60)
"""


def left(temporary: Path, name: str, seconds_ago: float) -> Path:
    folder = temporary / name
    (folder / "copy-0").mkdir(parents=True)
    then = time.time() - seconds_ago
    os.utime(folder, (then, then))
    return folder


def test_what_a_killed_audit_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    old, at_work = (left(tmp_path, f"tally-audit-{n}", 2 * YOUNG_SECONDS) for n in "ab")
    young = left(tmp_path, "tally-audit-c", 0)
    other = left(tmp_path, "tally-else", 2 * YOUNG_SECONDS)
    with held(at_work):
        os.utime(at_work, (0, 0))
        assert remove_abandoned(tmp_path) == [old]
    assert not old.exists()
    assert at_work.exists()
    assert young.exists()
    assert other.exists()


def test_an_audit_that_is_asked_to_stop_removes_its_copies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ASKED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as audit:  # noqa: S603 - our own
        try:
            assert audit.stdout is not None
            assert audit.stdout.readline() == b"ready\n"
            assert len(list(tmp_path.iterdir())) == 1
            audit.send_signal(signal.SIGTERM)

            assert audit.wait(30) == 128 + signal.SIGTERM
            assert list(tmp_path.iterdir()) == []
        finally:
            audit.kill()
