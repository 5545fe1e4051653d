"""`tally worker`: runs a worker process."""

import os
from pathlib import Path
from typing import Annotated

import structlog
import typer

from tally.deploy.local.folder_lock import FolderLock, lock_owner
from tally.streams.cli.output import fail, need_port
from tally.streams.runtime import logs
from tally.streams.runtime.exposure import exposed, keep_private
from tally.streams.runtime.memory import share_heaps
from tally.streams.runtime.run import run_worker
from tally.streams.settings import load, variable
from tally.streams.worker.process import Process

log = structlog.get_logger()


def _lock_state_folder(folder: Path) -> None:
    """Lock the state folder while this process lives; exit with code 2 if another process holds it.

    Two workers that share a folder fail at some rebalance: one opens a partition's tables before the other
    has closed them.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FolderLock.try_take(folder)
    if lock is None:
        owner = lock_owner(folder)
        fail(
            f"another worker (process {owner}) uses {folder}: give each one a"
            f" {variable('state_folder')} of its own",
            code=2,
        )
    lock.name_owner()


def worker(
    roles: Annotated[
        str, typer.Option(help="what this process does: route, fold, flush, view; without, TALLY_ROLES")
    ] = "",
) -> None:
    """Run a worker: route, fold, flush and view in one process, or those that are named.

    Declares missing topics first. Ends with 0 when it is asked to stop, and with another code when
    something is wrong: a supervisor starts it again.
    """
    settings = load(roles=roles) if roles else load()
    need_port(settings.web_host, settings.web_port, variable("web_port"))
    if "fold" in settings.roles:
        _lock_state_folder(settings.state_folder)
    logs.configure(settings)
    keep_private()
    for line in exposed(settings):
        log.warning(line)
    share_heaps(os.environ)
    run_worker(lambda: Process(settings).build())
