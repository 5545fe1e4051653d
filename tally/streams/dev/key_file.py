"""The key of a stack on this machine, in a file that only its owner can read, and what signs its log-ins."""

import os
from pathlib import Path
from secrets import token_urlsafe

from tally.agents.clock import unix_ms
from tally.streams.keys import managing
from tally.streams.keys.key import ALL_TENANTS, SCOPES, Presented, read_presented, recognised
from tally.streams.keys.sessions import LEAST_SECRET
from tally.streams.settings import Settings, load, variable

NAME = "key"
COMMENT = "of this machine"


async def key_in(folder: Path, settings: Settings) -> Presented:
    """Return the key in a folder; make one if there is none, or the brokers do not know it.

    Raises KafkaError, TimeoutError, TopicsError.
    """
    path = folder / NAME
    presented = read_presented(path.read_text(encoding="ascii").strip()) if path.is_file() else None
    if presented is not None:
        known = await managing.all_keys(settings)
        if recognised(presented, known.keys, unix_ms()) is not None:
            return presented
    made = await managing.add(settings, SCOPES, (ALL_TENANTS,), unix_ms(), comment=COMMENT)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{made.text}\n")
    return made


def signing() -> dict[str, str]:
    """Return the setting by which log-ins outlive a worker of this stack, where the environment has none."""
    return {} if load().session_secrets else {variable("session_secret"): token_urlsafe(LEAST_SECRET)}
