"""The state folder of a worker, which is its alone."""

from pathlib import Path

from tally.deploy.local.folder_lock import FolderLock, lock_owner
from tally.streams.runtime.exposure import PRIVATE_FOLDER
from tally.streams.settings import Settings, variable


class FolderTaken(Exception):
    """Another worker uses the state folder; the message names it.

    Two workers that share a folder fail at some rebalance: one opens a partition's tables before the other
    has closed them.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"another worker (process {lock_owner(folder)}) uses {folder}: give each one a"
            f" {variable('state_folder')} of its own"
        )


def lock_folder(settings: Settings) -> FolderLock | None:
    """Lock the state folder of a process that folds, until the lock is closed. Raises FolderTaken."""
    if "fold" not in settings.roles:
        return None
    settings.state_folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    lock = FolderLock.try_take(settings.state_folder)
    if lock is None:
        raise FolderTaken(settings.state_folder)
    return lock
