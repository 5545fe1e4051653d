"""`tally worker`: the process that does the work."""

import os
from typing import Annotated

import structlog
import typer

from tally.streams.cli.output import need_port
from tally.streams.runtime import logs
from tally.streams.runtime.exposure import exposed, keep_private
from tally.streams.runtime.memory import share_heaps
from tally.streams.runtime.run import run_worker
from tally.streams.settings import load, variable
from tally.streams.worker.process import Process

log = structlog.get_logger()


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
    logs.configure(settings)
    keep_private()
    for line in exposed(settings):
        log.warning(line)
    share_heaps(os.environ)
    run_worker(lambda: Process(settings).build())
