"""Which numbers an answer shows: those that concern the channels of its campaign. Pure."""

from collections.abc import Iterable
from functools import cache

from tally.schemas.counters import API_ORDER, BY_NAME, COUNTERS, DERIVED
from tally.schemas.facts import Channel

Channels = frozenset[Channel]

WHATSAPP: Channels = frozenset({"whatsapp"})
VOICE: Channels = frozenset({"voice"})
BOTH = WHATSAPP | VOICE

_OF_FAMILY: dict[str, Channels] = {
    "recipient": BOTH,
    "message": WHATSAPP,
    "customer": WHATSAPP,
    "call": VOICE,
    "operator": frozenset(),
}
_OF_COUNTER: dict[str, Channels] = {counter.name: _OF_FAMILY[counter.family] for counter in COUNTERS} | {
    "requested": VOICE,  # of recipients, but only of those who are called
    "errors": BOTH,  # of messages, and of attempts that failed before there was one
}
_DERIVED = {derived.name: derived for derived in DERIVED}


def channels_named(named: Iterable[str]) -> Channels:
    """Return the channels that a campaign's attempts went over; before any is known, WhatsApp."""
    return BOTH & frozenset(named) or WHATSAPP


def channel_of(channels: Channels) -> Channel:
    """Return the one channel by which a campaign is shown; of several, WhatsApp."""
    return "voice" if channels == VOICE else "whatsapp"


@cache
def numbers_of(channels: Channels) -> tuple[str, ...]:
    """Return the numbers that concern any of these channels, in the order of answers."""
    return tuple(name for name in API_ORDER if not channels.isdisjoint(_concerned(name)))


def _concerned(name: str) -> Channels:
    """Return the channels of a counter, or of whatever a derived number adds."""
    if name in BY_NAME:
        return _OF_COUNTER[name]
    return frozenset[Channel]().union(*(_OF_COUNTER[part] for part in _DERIVED[name].plus))
