"""The jars of Apache Kafka: locked versions, downloaded into the cache and verified by checksum.

`python -m tally.deploy.local.jars` resolves COORDINATES again and rewrites the lock.
"""

import hashlib
import os
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tally.deploy.local.cache import cache_folder, staging
from tally.deploy.local.errors import ChecksumMismatch, DownloadFailed

LOCK_PATH = Path(__file__).with_name("kafka.lock.toml")
# With "!" the logging binding brings only itself. Otherwise its parent's version table would replace Kafka's
# own versions, down to kafka-clients 3.8.
COORDINATES = "org.apache.kafka:kafka_2.13:4.1.2+org.apache.logging.log4j:log4j-slf4j-impl:2.24.3!"
PARALLEL_DOWNLOADS = 8
DOWNLOAD_DEADLINE_SECONDS = 600.0


@dataclass(frozen=True)
class LockedJar:
    """One jar, identified by its coordinates and its content."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The jar's name in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def read_lock(path: Path = LOCK_PATH) -> tuple[LockedJar, ...]:
    """Return the locked jars, in the order of the class path."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["dependencies"]
    return tuple(LockedJar(e["groupId"], e["artifactId"], e["version"], e["sha256"]) for e in entries)


def lock_id(path: Path = LOCK_PATH) -> str:
    """Return a short hash of the lock's content, which names the lock's folder in the cache."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def verify(jar: LockedJar, path: Path) -> Path:
    """Return `path` if its content is that of `jar`. Raises ChecksumMismatch."""
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != jar.sha256:
        raise ChecksumMismatch(path, jar.sha256, actual)
    return path


def kafka_folder() -> Path:
    """Return the cache folder of everything that is made from the present lock."""
    return cache_folder() / f"kafka-{lock_id()}"


def verified_jars(folder: Path) -> tuple[Path, ...]:
    """Return all locked jars of `folder`, in the order of the class path. Raises ChecksumMismatch."""
    return tuple(verify(jar, folder / jar.file_name) for jar in read_lock())


def download_missing(folder: Path, say: Callable[[str], None]) -> None:
    """Download and verify the locked jars that `folder` lacks. Raises DownloadFailed, ChecksumMismatch."""
    missing = [jar for jar in read_lock() if not (folder / jar.file_name).exists()]
    if missing:
        say(f"downloading Kafka (first time only, {len(missing)} jars)")
        _download(missing, folder)


def _download(jars: Sequence[LockedJar], folder: Path) -> None:
    with staging(folder) as stage, ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        try:
            paths = list(pool.map(_fetcher(stage), jars, timeout=DOWNLOAD_DEADLINE_SECONDS))
        except TimeoutError as error:
            raise DownloadFailed(f"not done within {DOWNLOAD_DEADLINE_SECONDS:.0f} s") from error
        finally:
            pool.shutdown(cancel_futures=True)
        for jar, path in zip(jars, paths, strict=True):
            os.replace(verify(jar, path), folder / jar.file_name)


def _fetcher(stage: Path) -> Callable[[LockedJar], Path]:
    # Imported here because it takes a third of a second, which a warm cache does not need.
    from jgo.config import GlobalSettings  # noqa: PLC0415
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    repositories = {**GlobalSettings.load().repositories}
    repositories.setdefault("central", MAVEN_CENTRAL_URL)
    context = MavenContext(repo_cache=stage, remote_repos=repositories)

    def fetch(jar: LockedJar) -> Path:
        try:
            path: Path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
        except (OSError, RuntimeError) as error:
            raise DownloadFailed(f"{jar.file_name}: {error}") from error
        return path

    return fetch


def write_lock(path: Path = LOCK_PATH) -> None:
    """Resolve COORDINATES, and write the resulting jars and checksums to the lock."""
    from dataclasses import replace  # noqa: PLC0415

    from jgo.env import LockFile  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415
    from jgo.parse import Endpoint  # noqa: PLC0415

    with staging(cache_folder()) as stage:
        context: Any = MavenContext(repo_cache=stage)
        wanted = [replace(part, scope="compile") for part in Endpoint.parse(COORDINATES).coordinates]
        named, brought = context.resolver.resolve([context.create_dependency(part) for part in wanted])
        needed = [dependency for dependency in brought if dependency.scope in ("compile", "runtime")]
        LockFile.from_resolved_dependencies([*named, *needed]).save(path)


if __name__ == "__main__":
    write_lock()
