"""The cache of files that all embedded servers of a user share."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tally.deploy.local.errors import ForeignCache

OWN_FOLDER, OWN_FILE = 0o700, 0o600
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the user's cache folder for Tally: `$XDG_CACHE_HOME/tally`, else `~/.cache/tally`."""
    base = environment.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tally"


def own_folder(folder: Path) -> Path:
    """Make a folder, or restrict an existing one, so that only this user may enter. Raises ForeignCache."""
    folder.mkdir(mode=OWN_FOLDER, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise ForeignCache(folder)
    folder.chmod(OWN_FOLDER)
    return folder


def is_own(path: Path) -> bool:
    """Return whether a file exists, and only this user could have written it.

    It protects files that are made on this machine, whose content no lock knows. A digest beside such a file
    would be as easy to change as the file.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    is_ours = found.st_uid == os.geteuid() and not found.st_mode & OTHERS_WRITE
    return is_ours and stat.S_ISREG(found.st_mode)


def put_in_place(made: Path, path: Path) -> None:
    """Move a file from staging to its place, closed to all other users."""
    made.chmod(OWN_FILE)
    os.replace(made, path)


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside the final files, from which each moves into place atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".staging-") as name:
        yield Path(name)
