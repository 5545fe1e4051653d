"""Markets: the region of the world that a message or call goes to, by whom it is for. Pure."""

import re
from functools import lru_cache

from tally.schemas.fields import phone_identifier
from tally.schemas.market_prefixes import PREFIXES

REGIONS = {prefix: region for region, prefixes in PREFIXES.items() for prefix in prefixes.split()}
"""The ISO region of each known prefix; a longer one stands where it says something else."""
LONGEST = max(map(len, REGIONS))
REMEMBERED = 16_384
"""Beginnings of numbers whose region is kept, in 2 MB at most; the numbers of a country share few."""

_USER_ID = re.compile(r"([A-Za-z]{2})\.")


def market(phone: str, user_id: str) -> str:
    """Return the market of a recipient: of the phone, else of the business-scoped id, else empty."""
    return market_of(phone) or market_of_user(user_id)


def market_of(phone: str) -> str:
    """Return the ISO region of a dialled number by its longest known prefix; empty where none is known.

    The number is international, in the spelling that phones may have; without calling code, or behind `00`,
    it is of no region. What is not a phone has none, nor have calling codes that are no country's. A number
    that nobody may have has the region of its prefix all the same: +1 555 is of the United States.
    """
    if not (phone.isascii() and phone.isdigit()):
        identifier = phone_identifier(phone)
        if not identifier.startswith(b"p"):
            return ""
        phone = identifier[1:].decode()
    return _region(phone[:LONGEST])


def market_of_user(user_id: str) -> str:
    """Return the two letters that begin a business-scoped user id, in upper case; empty without them."""
    found = _USER_ID.match(user_id)
    return found[1].upper() if found else ""


@lru_cache(REMEMBERED)
def _region(beginning: str) -> str:
    for end in range(len(beginning), 0, -1):
        region = REGIONS.get(beginning[:end])
        if region is not None:
            return region
    return ""
