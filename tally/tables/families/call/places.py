"""Where the events of a call came from: the first of each kind, by channel and attempt."""

from collections.abc import Iterator, Sequence

from msgspec import structs

from tally.tables.families.call.state import MOMENTS, Call, Channel
from tally.tables.families.family import Placed, ordered

_KIND_OF = {letter: kind for kind, letter in MOMENTS.items()}


def places_of(call: Call) -> Iterator[Placed]:
    """Yield the first events of a call: kinds are those of its facts, and outcomes of send results."""
    base = call.base or 0
    for unique, channel in call.channels.items():
        yield from (one._replace(place=base + one.place) for one in _of_channel(unique, channel))
    for key, asked in call.asked.items():
        for outcome, result in asked.results.items():
            yield Placed(key, outcome, result.at_ms * 1_000, result.place)
    for key, response in call.responses.items():
        yield Placed(key.strip("\0"), "originate_response", response.at_us, base + response.place)


def _of_channel(unique: str, channel: Channel) -> Iterator[Placed]:
    """Yield the first events of a channel, with places from the call's base."""
    for kind, one in (
        ("seen", channel.first),
        ("request", channel.request),
        ("hangup", channel.hangup),
        ("dial_end", channel.dial_end),
        ("agent", channel.agent),
    ):
        if one:
            yield Placed(unique, kind, one.at_us, one.place)
    if channel.up:
        yield Placed(unique, "up", *channel.up)
    if channel.missed:
        yield Placed(unique, "ring_no_answer", *min(channel.missed.values()))
    first_us = _first_of_each(channel.moments)
    for letter, place in channel.places.items():
        yield Placed(unique, _KIND_OF[letter], first_us[letter], place)


def counted_from(base: int | None, call: Call) -> Call:
    """Return a call whose places count from another base, which is not larger than its own."""
    if call.base is None or base is None or call.base == base:
        return call
    more = call.base - base
    channels = {unique: _moved(channel, more) for unique, channel in call.channels.items()}
    responses = {key: one._replace(place=one.place + more) for key, one in call.responses.items()}
    return structs.replace(call, channels=channels, responses=responses, base=base)


def _moved(channel: Channel, more: int) -> Channel:
    """Return a channel whose places are larger by so much."""
    return structs.replace(
        channel,
        first=channel.first._replace(place=channel.first.place + more),
        up=channel.up and (channel.up[0], channel.up[1] + more),
        request=channel.request and channel.request._replace(place=channel.request.place + more),
        hangup=channel.hangup and channel.hangup._replace(place=channel.hangup.place + more),
        dial_end=channel.dial_end and channel.dial_end._replace(place=channel.dial_end.place + more),
        agent=channel.agent and channel.agent._replace(place=channel.agent.place + more),
        missed={caller: (at_us, place + more) for caller, (at_us, place) in channel.missed.items()},
        places={letter: place + more for letter, place in channel.places.items()},
    )


def join_places(parts: Sequence[Channel], moments: dict[str, list[int]]) -> dict[str, int]:
    """Return the smallest place of the first moment of each kind; `moments` are those of all parts."""
    known = [part for part in parts if part.moments]
    if len(known) < 2:
        return known[0].places if known else {}
    first_us = _first_of_each(moments)
    places: dict[str, int] = {}
    for part in known:
        mine_us = _first_of_each(part.moments)
        for letter, place in part.places.items():
            if mine_us[letter] == first_us[letter]:
                places[letter] = min(place, places.get(letter, place))
    return ordered(places)


def _first_of_each(moments: dict[str, list[int]]) -> dict[str, int]:
    """Return the time of the first moment of each kind."""
    first: dict[str, int] = {}
    for key, times in moments.items():
        first[key[0]] = min(times[0], first.get(key[0], times[0]))
    return first
