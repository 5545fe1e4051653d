"""The start of a process with roles: the whole worker, or one of its several processes."""

import os
from typing import NoReturn

from tally.streams.processes.member import Member
from tally.streams.processes.split import name_of
from tally.streams.runtime import logs
from tally.streams.runtime.exposure import keep_private
from tally.streams.runtime.memory import share_heaps
from tally.streams.runtime.run import run_worker
from tally.streams.settings import Settings
from tally.streams.worker.folder import lock_folder
from tally.streams.worker.process import Process


def run(settings: Settings, member: Member | None = None) -> NoReturn:
    """Run the roles of `settings` in this process until it is asked to stop. Raises FolderTaken.

    The state folder stays locked while this process lives.
    """
    lock = lock_folder(settings)
    if lock is not None:
        lock.name_owner()
    logs.configure(settings, name_of(settings.roles) if member else "")
    keep_private()
    share_heaps(os.environ)
    run_worker(lambda: Process(settings, member).build())
