"""`tally up`: runs servers and a worker, for trying Tally by hand."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tally.agents.clock import wait_for
from tally.deploy import migrate
from tally.deploy.local import LocalServerError
from tally.deploy.local.folder_lock import FolderLock, lock_owner
from tally.oracle.api import Answers, NotYet
from tally.streams.cli.output import console, fail, in_words
from tally.streams.demo.run import log_file
from tally.streams.dev.free_port import free_port
from tally.streams.dev.gateway import GATEWAY, new_app
from tally.streams.dev.key_file import NAME as KEY_FILE
from tally.streams.dev.key_file import key_in, signing
from tally.streams.dev.stack import HalfAStack, running
from tally.streams.dev.supervisor import Supervisor
from tally.streams.dev.try_it import commands, write_environment
from tally.streams.operations import topics
from tally.streams.runtime.exposure import private_folder
from tally.streams.settings import Settings, load, variable

READY_SECONDS = 120.0
LOOK_SECONDS = 1.0
OPEN_TO_ALL = (
    "the embedded Kafka asks nobody who they are: every user of this machine can read what is published,"
    " publish, and delete topics"
)


def up(
    folder: Annotated[Path, typer.Option(help="where the embedded servers keep their data")] = Path(".tally"),
) -> None:
    """Keep Kafka, Postgres and a worker running until Ctrl-C, and print commands to paste.

    Embedded servers, unless TALLY_KAFKA_BOOTSTRAP and TALLY_POSTGRES_DSN name others. The worker is started
    again with backoff when it ends. Where an embedded server ends, everything stops, with exit code 1.
    """
    _refuse_a_second(folder)
    try:
        asyncio.run(_up(folder))
    except (LocalServerError, HalfAStack, migrate.MigrationError, topics.TopicsError) as error:
        fail(in_words(error))


def _states(folder: Path) -> Path:
    return Path(os.environ.get(variable("state_folder"), str(folder / "state")))


def _refuse_a_second(folder: Path) -> None:
    """Exit if a worker of an earlier `tally up` runs: a second one would share its states."""
    states = _states(folder)
    if states.is_dir() and not FolderLock.is_free(states):
        owner = lock_owner(states)
        fail(
            f"a worker (process {owner}) runs already with {states}: `. {folder}/env` leads to it,"
            " and Ctrl-C in its terminal stops it"
        )


async def _up(folder: Path) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    more = {
        variable("web_port"): str(free_port(load().web_port)),
        variable("metrics_port"): str(free_port(load().metrics_port)),
        **signing(),
        variable("state_folder"): str(_states(folder)),
        variable("ledger"): os.environ.get(variable("ledger"), "true"),
        **({} if load().gateway_apps else new_app().environment()),
    }
    with running(private_folder(folder), _say, **more) as stack:
        settings = stack.settings
        if stack.is_embedded:
            _say(OPEN_TO_ALL)
        await asyncio.to_thread(migrate.up, settings.postgres_dsn.get_secret_value())
        # Only Tally uses embedded brokers, so configurations of an earlier release may be altered.
        await topics.declare(settings, mend=stack.is_embedded)
        key = await key_in(folder, settings)
        log = log_file(folder, "worker")
        supervisor = Supervisor(stack.environment, log, _say)
        gateway = Supervisor(stack.environment, log_file(folder, "gateway"), _say, GATEWAY, "gateway")
        supervising = asyncio.gather(supervisor.run(), gateway.run())
        _say(f"worker and gateway start; their logs are {log} and gateway.log beside it")
        environment_file = write_environment(folder, stack.environment, folder / KEY_FILE)
        try:
            await _greet(settings, key.text, environment_file, stopping)
            ended = await until_stopped(stopping, stack.ended)
        finally:
            # The stack that the file names is about to stop.
            environment_file.unlink(missing_ok=True)
            _say("stopping worker and gateway, then the servers")
            await asyncio.gather(supervisor.stop(), gateway.stop())
            await supervising
    for line in ended:
        _say(line)
    if ended:
        raise typer.Exit(1)


async def until_stopped(stopping: asyncio.Event, ended: Callable[[], list[str]]) -> list[str]:
    """Wait for a stop, or for the end of a server; return a sentence for each server that has ended."""
    while not (found := ended()):
        if await wait_for(stopping, LOOK_SECONDS):
            return []
    return found


async def _greet(settings: Settings, key: str, environment_file: Path, stopping: asyncio.Event) -> None:
    """Print the commands once the worker answers; return early on Ctrl-C."""
    url = f"http://{settings.web_host}:{settings.web_port}"
    gateway_url = f"http://{settings.gateway_host}:{settings.gateway_port}"
    metrics_url = f"http://{settings.metrics_host}:{settings.metrics_port}"
    async with Answers(url, metrics_url, key) as answers:
        ready = asyncio.ensure_future(answers.wait_until_ready(READY_SECONDS))
        stop = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({ready, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not ready.done():
            ready.cancel()
            return
    try:
        _say(f"worker ready after {ready.result():.1f} s")
    except NotYet as error:
        _say(f"{error}; see its log")
    for line in commands(environment_file, url, gateway_url, metrics_url):
        _say(line)


def _say(line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
