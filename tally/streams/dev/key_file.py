"""The key of a stack on this machine, in a file that only its owner can read."""

import os
from pathlib import Path

from tally.agents.clock import unix_ms
from tally.streams.keys import managing
from tally.streams.keys.key import ALL_TENANTS, SCOPES, Presented, read_presented, recognised
from tally.streams.settings import Settings

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
        if recognised(presented, known, unix_ms()) is not None:
            return presented
    made = await managing.add(settings, SCOPES, (ALL_TENANTS,), unix_ms(), comment=COMMENT)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{made.text}\n")
    return made
