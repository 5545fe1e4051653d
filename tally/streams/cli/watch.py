"""`tally watch`: prints how a campaign goes, a line every fifty messages or second."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import aiohttp
import typer

from tally.agents.view.pace import LONG_SECONDS, SHORT_SECONDS, Pace, Progress, progress_of
from tally.oracle.api import Answers
from tally.streams.cli.output import console, fail
from tally.streams.settings import load

LOOK_SECONDS = 0.25
LINE_SECONDS = 1.0
MESSAGES = 50
OVER = frozenset({"finished", "cancelled"})
"""Statuses in which nothing more is sent."""


def watch(
    campaign: Annotated[str, typer.Argument(help="the campaign's id")],
    tenant: Annotated[str, typer.Option(help="whose it is")],
    url: Annotated[str, typer.Option(help="a worker; without, the one of the settings")] = "",
) -> None:
    """Print how a campaign goes while it moves, until it is finished or cancelled, or Ctrl-C."""
    settings = load()
    at = (url or f"http://{settings.web_host}:{settings.web_port}").rstrip("/")
    try:
        asyncio.run(_watch(at, settings.api_key.get_secret_value(), tenant, campaign))
    except KeyboardInterrupt:
        return
    except aiohttp.ClientResponseError as error:
        fail(f"{at} answers {error.status}: TALLY_API_KEY must be a key with `read` for {tenant}")
    except (aiohttp.ClientError, TimeoutError) as error:
        fail(f"{at} does not answer: {type(error).__name__}")


async def _watch(url: str, key: str, tenant: str, campaign: str) -> None:
    path = f"/v1/tenants/{quote(tenant, safe='')}/campaigns?id={quote(campaign, safe='')}"
    pace, told, told_s = Pace(), None, float("-inf")
    async with Answers(url, url, key) as answers:
        while True:
            found = (await answers.get(path))["campaigns"]
            if not found:
                fail(f"nothing is counted for campaign {campaign} of tenant {tenant}")
            now_s, progress = time.monotonic(), progress_of(found[0])
            pace.saw(now_s, progress.done)
            if is_due(progress, told, now_s - told_s):
                began = datetime.fromisoformat(found[0]["first_activity"])
                elapsed = (datetime.now(UTC) - began).total_seconds()
                console.print(line(progress, pace, elapsed), highlight=False)
                told, told_s = progress, now_s
            if progress.status in OVER:
                return
            await asyncio.sleep(LOOK_SECONDS)


def is_due(progress: Progress, told: Progress | None, seconds: float) -> bool:
    """Return whether a line is due: at the first look, after fifty messages, or a second that moved it."""
    if told is None:
        return True
    return progress.sent - told.sent >= MESSAGES or (seconds >= LINE_SECONDS and progress != told)


def line(progress: Progress, pace: Pace, elapsed_seconds: float) -> str:
    """Return the line of a moment. Pure."""
    planned = "" if progress.planned is None else f" of {progress.planned:,}"
    status = f" ({progress.status})" if progress.status else ""
    parts = [
        f"{progress.name}{status}",
        f"sent {progress.sent:,}{planned}",
        f"failed {progress.failed:,}",
        f"{_rate(pace.per_second(SHORT_SECONDS))} in 10 s",
        f"{_rate(pace.per_second(LONG_SECONDS))} in 1 min",
        f"elapsed {_time(elapsed_seconds)}",
    ]
    if (seconds := pace.seconds_left(progress.left)) is not None:
        parts.append(f"done in {_time(seconds)}")
    return "  ".join(parts)


def _rate(per_second: float | None) -> str:
    return "-/s" if per_second is None else f"{per_second:,.1f}/s"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
