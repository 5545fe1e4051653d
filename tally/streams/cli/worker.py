"""`tally worker`: runs a worker."""

import os
import sys
from typing import Annotated, NoReturn

import structlog
import typer
from msgspec import json

from tally.streams.cli.output import fail, need_port
from tally.streams.processes.split import Plan, split
from tally.streams.runtime import logs
from tally.streams.runtime.exposure import exposed, keep_private
from tally.streams.settings import Role, Settings, load, variable
from tally.streams.worker.folder import FolderTaken, lock_folder

log = structlog.get_logger()

CHILD = (sys.executable, "-m", "tally.streams.worker")
PARENT = (sys.executable, "-m", "tally.streams.processes")


def worker(
    roles: Annotated[
        str, typer.Option(help="what this worker does: route, fold, sink, view; without, TALLY_ROLES")
    ] = "",
) -> None:
    """Run a worker: route, fold, sink and view, or those that are named, in TALLY_PROCESSES processes.

    Declares missing topics first. Ends with 0 when it is asked to stop, and with another code when
    something is wrong: a supervisor starts it again.
    """
    settings = load(roles=roles) if roles else load()
    if "view" in settings.roles:
        need_port(settings.web_host, settings.web_port, variable("web_port"))
    need_port(settings.metrics_host, settings.metrics_port, variable("metrics_port"))
    made_of = split(settings.roles, settings.processes, _cores())
    logs.configure(settings)
    for line in exposed(settings):
        log.warning(line)
    try:
        if len(made_of) == 1:
            # Here alone: it imports everything that a worker is made of.
            from tally.streams.worker.start import run  # noqa: PLC0415

            run(settings)
        if (lock := lock_folder(settings)) is not None:
            lock.close()
    except FolderTaken as error:
        fail(str(error), code=2)
    _become_parent(settings, made_of)


def _become_parent(settings: Settings, made_of: tuple[tuple[Role, ...], ...]) -> NoReturn:
    """Replace this program by the parent of the processes, which needs half as much memory."""
    plan = Plan(
        made_of,
        CHILD,
        settings.web_host,
        settings.web_port,
        settings.metrics_host,
        settings.metrics_port,
        settings.log_level,
        settings.log_format,
        hosts=settings.web_hosts,
    )
    keep_private()
    sys.stdout.flush()
    os.execv(PARENT[0], (*PARENT, json.encode(plan).decode()))  # noqa: S606 - our own program


def _cores() -> int:
    """Return how many cores this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1
