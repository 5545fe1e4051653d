"""What the bridge says to a PBX, as bytes. Pure."""

import hashlib

LINE_BREAKS = ("\r", "\n", "\0")


def action(name: str, action_id: str, *fields: tuple[str, str]) -> bytes:
    """Return the packet of an action. Raises ValueError: a value with a line break would be more fields."""
    lines = [("Action", name), ("ActionID", action_id), *fields]
    for key, value in lines:
        if any(character in value for character in LINE_BREAKS):
            raise ValueError(f"{key} of {name} holds a line break")
    return "".join(f"{key}: {value}\r\n" for key, value in lines).encode() + b"\r\n"


def digest(challenge: str, secret: str) -> str:
    """Return the answer to the challenge of an MD5 login."""
    return hashlib.md5((challenge + secret).encode(), usedforsecurity=False).hexdigest()
