"""How settings are written in the environment: their names, and lists in one value. Pure."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

PREFIX = "TALLY_"


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def unknown(environment: Iterable[str], known: Collection[str]) -> list[str]:
    """Return the variables with the prefix that are no settings, each with the one it may be meant for.

    Names in small letters count too: nothing reads them, and who writes one thinks that it holds.
    """
    return [
        f"{name} (is it {nearest[0]}?)"
        if (nearest := get_close_matches(name.upper(), known, n=1, cutoff=0.8))
        else name
        for name in sorted(environment)
        if name.upper().startswith(PREFIX) and name not in known
    ]


def by_commas(value: object) -> object:
    """Return the parts of a text with commas between them; what is no text as it is."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())
