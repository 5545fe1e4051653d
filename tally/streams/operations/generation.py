"""The generation that readers of Postgres see."""

import asyncpg

from tally.streams.settings import Settings

DEADLINE_SECONDS = 20.0
READ = "SELECT generation FROM tally.current_generation"
WRITTEN = "SELECT count(*) FROM tally.sink_progress WHERE generation = $1"
POINT = "UPDATE tally.current_generation SET generation = $1, updated_at = now() WHERE generation < $1"


class GenerationError(Exception):
    """Postgres does not show, or cannot show, the requested generation."""


def advice(shown: int, ours: int) -> str:
    """Return what to do if Postgres shows another generation than ours. Pure."""
    difference = f"Postgres shows generation {shown}, this is {ours}"
    if shown > ours:
        return f"{difference}, which has been left: set TALLY_GENERATION={shown}"
    return f"{difference}: `tally generation raise` when it has caught up"


async def shown(settings: Settings) -> int | None:
    """Return the generation that the views sum; None before the first sink has written."""
    connection = await _connect(settings)
    try:
        found: int | None = await connection.fetchval(READ)
        return found
    finally:
        await connection.close()


async def point(settings: Settings) -> None:
    """Let the views sum the generation of the settings. Raises GenerationError."""
    connection = await _connect(settings)
    try:
        if not await connection.fetchval(WRITTEN, settings.generation):
            raise GenerationError(f"nothing of generation {settings.generation} is in Postgres yet")
        if await connection.execute(POINT, settings.generation) == "UPDATE 0":
            now_shown = await connection.fetchval(READ)
            if now_shown == settings.generation:
                raise GenerationError(f"Postgres shows generation {now_shown} already")
            raise GenerationError(advice(now_shown, settings.generation))
    finally:
        await connection.close()


async def _connect(settings: Settings) -> "asyncpg.Connection[asyncpg.Record]":
    dsn = settings.postgres_dsn.get_secret_value()
    return await asyncpg.connect(dsn, timeout=DEADLINE_SECONDS, command_timeout=DEADLINE_SECONDS)
