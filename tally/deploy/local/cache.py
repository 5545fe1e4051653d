"""Where files are kept that are the same for every embedded server of a user."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's cache folder for Tally: `$XDG_CACHE_HOME/tally`, else `~/.cache/tally`."""
    base = environment.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tally"


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A temporary folder beside the final files, so that each is moved into place whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".staging-") as name:
        yield Path(name)
