"""A time of day that a test can set, for one worker: Debian's libfaketime, unpacked and not installed."""

import subprocess
from pathlib import Path

from tests.asterisk.apt import AptFailed, run
from tests.faults.hooked_worker import HookedWorker

DEADLINE_SECONDS = 60.0
LIBRARY = "*/faketime/libfaketime.so.1"


class WallClock:
    """What a worker takes for the time of day; its monotonic clock stays as it is."""

    def __init__(self, worker: HookedWorker, library: Path, folder: Path) -> None:
        self._offset = folder / "clock"
        self.jump(0)
        worker.environment |= {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, seconds: int) -> None:
        """Let the clock be so much fast from now on, or slow."""
        draft = self._offset.with_name("draft")
        draft.write_text(f"{seconds:+d}\n")
        draft.rename(self._offset)


def library(folder: Path) -> Path | None:
    """Return the library, that of the machine or one that its apt brings; None where there is none."""
    installed = sorted(Path("/usr/lib").glob(LIBRARY))
    if installed:
        return installed[0]
    try:
        subprocess.run(
            ("apt-get", "download", "libfaketime"),  # noqa: S607 - the machine's own
            cwd=folder,
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
        (archive,) = folder.glob("libfaketime_*.deb")
        run("dpkg-deb", "--extract", str(archive), str(folder / "root"))
    except (OSError, subprocess.SubprocessError, AptFailed, ValueError):
        return None
    return next(iter(sorted((folder / "root").glob(f"usr/lib/{LIBRARY}"))), None)
