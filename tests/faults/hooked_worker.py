"""`python -m tests.faults.hooked_worker FOLDER`: a worker whose points are armed by files in that folder."""

import sys
from pathlib import Path

from tally.streams.cli.main import main
from tests.faults.points import FIRED, POISON, Armed, install
from tests.support.workers import WorkerProcess


class HookedWorker(WorkerProcess):
    """A worker process with points."""

    def __init__(self, environment: dict[str, str], folder: Path, name: str, **more: str) -> None:
        super().__init__(environment, folder, name, **more)
        self.points = folder / f"{name}-points"
        self.points.mkdir(exist_ok=True)
        self.command = (sys.executable, "-m", "tests.faults.hooked_worker", str(self.points))

    def arm(self, point: str, what: str) -> None:
        """Let the next pass of a point `raise`, `kill`, or `block 15` seconds."""
        (self.points / (point + FIRED)).unlink(missing_ok=True)
        draft = self.points / "draft"
        draft.write_text(what)
        draft.rename(self.points / point)

    def poison(self, contact: str) -> None:
        """From the next start on, make family code fail at every message sent to a contact."""
        (self.points / POISON).write_text(contact)

    def has_fired(self, point: str) -> bool:
        """Return whether the point has struck since it was armed."""
        return (self.points / (point + FIRED)).exists()

    def disarm(self, point: str) -> None:
        """Remove a fault that has not struck."""
        (self.points / point).unlink(missing_ok=True)


if __name__ == "__main__":
    install(Armed(Path(sys.argv[1])))
    sys.argv = ["tally", "worker"]
    main()
