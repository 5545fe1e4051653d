"""Which packages make an Asterisk: a release of it for each of two Debian suites, pinned by SHA-256."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tally.deploy.local.cache import cache_folder

LOCK_PATH = Path(__file__).with_name("packages.lock.toml")


@dataclass(frozen=True)
class Package:
    """One binary package, named by its place in an archive's pool and by its content."""

    name: str
    version: str
    pool_path: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.name}.deb"


@dataclass(frozen=True)
class Release:
    """One Asterisk with every library it loads, the C library too: nothing of the machine's is used."""

    name: str
    suite: str
    packages: tuple[Package, ...]

    @property
    def folder(self) -> Path:
        """Where it is unpacked: another place for any other content."""
        content = "".join(package.sha256 for package in self.packages)
        return cache_folder() / f"asterisk-{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def fetched(self) -> bool:
        return self.folder.is_dir()


def read_lock(path: Path = LOCK_PATH) -> tuple[Release, ...]:
    """Return the locked releases, in the lock's order."""
    releases = tomllib.loads(path.read_text(encoding="utf-8"))["releases"]
    return tuple(
        Release(entry["name"], entry["suite"], tuple(Package(**package) for package in entry["packages"]))
        for entry in releases
    )


def write_lock(releases: tuple[Release, ...], path: Path = LOCK_PATH) -> None:
    """Write the lock; only names, versions, places in the pool and checksums: no address of a mirror."""
    lines = ["# Written by `python -m tests.asterisk.pin`.\n"]
    for release in releases:
        lines += [f'\n[[releases]]\nname = "{release.name}"\nsuite = "{release.suite}"\n']
        for package in release.packages:
            lines += [
                "\n[[releases.packages]]\n",
                *(f'{key} = "{value}"\n' for key, value in vars(package).items()),
            ]
    path.write_text("".join(lines), encoding="utf-8")
