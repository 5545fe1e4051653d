"""The state of a call as a single fact gives it."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from tally.schemas.call_facts import (
    RINGING,
    UP,
    CallFact,
    ChannelSnapshot,
    ChannelsSeen,
    Dialled,
    Originated,
    Resynced,
    Role,
)
from tally.schemas.keys import join_parts
from tally.tables.families.call.merge import join_channels
from tally.tables.families.call.state import (
    HOLD,
    MOMENTS,
    UNHOLD,
    Call,
    Channel,
    DialEnd,
    FirstSeen,
    Hangup,
    MomentKey,
    Offer,
    Requested,
    Response,
    Result,
    Shown,
    Whom,
    response_key,
)
from tally.tables.families.family import ordered

DIALS = ("dial", "dial_end")
OFFERS = ("agent", "ring_no_answer")
"""Kinds of events about the Dest of a queue's call."""


def identifiers_of(fact: CallFact) -> list[bytes]:
    """Return the identifiers of a call that a fact names; none for a resync."""
    match fact:
        case ChannelsSeen(channels=channels):
            found = [name for snapshot in channels for name in _names(snapshot)]
            found += [pair for variables in _shown(channels).values() for pair in _pair(variables)]
        case Originated(action_id=action_id, unique=unique):
            found = [b"a" + action_id.encode()] if action_id else []
            found += [b"u" + unique.encode()] if unique else []
        case Dialled(campaign=campaign, contact=contact, ids=ids):
            found = [(b"a" if name == "action_id" else b"u") + value.encode() for name, value in ids]
            found.append(b"v" + join_parts(campaign, contact))
        case Resynced():
            found = []
    return list(dict.fromkeys(found))


def _names(snapshot: ChannelSnapshot) -> Iterable[bytes]:
    yield b"u" + snapshot.unique.encode()
    if snapshot.linked:
        yield b"u" + snapshot.linked.encode()


def _pair(variables: Mapping[Role, str]) -> Iterable[bytes]:
    campaign, contact = variables.get("campaign"), variables.get("contact")
    if campaign and contact:
        yield b"v" + join_parts(campaign, contact)


def _shown(channels: Sequence[ChannelSnapshot]) -> dict[str, Mapping[Role, str]]:
    """Return the variables that one event shows, by channel.

    If it shows a channel twice, the smallest value of each variable holds.
    """
    shown: dict[str, Mapping[Role, str]] = {}
    for snapshot in channels:
        mine = shown.get(snapshot.unique)
        if mine is None:
            shown[snapshot.unique] = snapshot.variables
        else:
            values = [*mine.items(), *snapshot.variables.items()]
            shown[snapshot.unique] = dict(sorted(values, key=lambda one: one[1], reverse=True))
    return shown


def half_named(fact: CallFact) -> list[str]:
    """Return the channels for which a fact shows only the campaign, or only the contact."""
    if not isinstance(fact, ChannelsSeen):
        return []
    return [
        unique
        for unique, variables in _shown(fact.channels).items()
        if variables and ("campaign" in variables) != ("contact" in variables)
    ]


def base_of(facts: Iterable[CallFact]) -> int | None:
    """Return the smallest place of what a PBX said; None where it said nothing."""
    return min([fact.place for fact in facts if isinstance(fact, ChannelsSeen | Originated)], default=None)


def call_of(fact: CallFact, base: int | None = None) -> Call:
    """Return the state that this fact alone gives its call. Raises TypeError for a resync.

    `base` is what places count from: that of all the facts that it is merged with, or its own.
    """
    identifiers = sorted(identifiers_of(fact))
    from_base = fact.place if base is None else base
    match fact:
        case ChannelsSeen():
            counted = structs.replace(fact, place=fact.place - from_base)
            return Call(identifiers, _channels_of(counted), base=from_base)
        case Originated(at_us, action_id, unique, reason, bound):
            key = response_key(action_id or f"\0{unique}", reason)
            response = Response(at_us, unique, reason, bound, fact.place - from_base)
            return Call(identifiers, responses={key: response}, base=from_base)
        case Dialled():
            key = join_parts(fact.tenant, fact.campaign, fact.contact, fact.attempt).decode()
            result = Result(fact.at_ms, fact.template, fact.market, fact.phone, fact.place)
            asked = Requested({fact.outcome: result}, sorted(fact.ids), fact.customer_is_second_leg)
            return Call(identifiers, asked={key: asked})
        case Resynced():
            raise TypeError("a resync is about all calls of a PBX")


def _channels_of(fact: ChannelsSeen) -> dict[str, Channel]:
    """Return the states of one event's channels.

    A dial, or an offer with a Dest, is about the Dest; any other event is about its first channel.
    """
    main, *others = fact.channels
    if others and len({one.unique for one in fact.channels}) <= len(others):
        # An event may show a channel twice (a transfer does, under two names): both snapshots hold.
        variables = _shown(fact.channels)
        main, *others = (structs.replace(one, variables=variables[one.unique]) for one in fact.channels)
    if fact.kind in DIALS or (others and fact.kind in OFFERS):
        # The dial of an Originate has no calling channel: its only channel is the Dest.
        caller, dest = (main.unique, others[0]) if others else ("", main)
        shown = [(each.unique, _seen(each, fact)) for each in (main, *others) if each is not dest]
        shown.append((dest.unique, _dialled(dest, caller, fact)))
    else:
        shown = [(each.unique, _seen(each, fact)) for each in others]
        shown.append((main.unique, _spoken_of(main, fact)))
    known = dict(shown)
    if len(known) < len(shown):
        known = {name: join_channels([seen for other, seen in shown if other == name]) for name in known}
    return ordered(known)


def _seen(snapshot: ChannelSnapshot, fact: ChannelsSeen, **more: object) -> Channel:
    at_us, place = fact.at_us, fact.place
    variables = {role: Shown(at_us, value) for role, value in snapshot.variables.items()}
    named = None
    if "campaign" in variables and "contact" in variables:
        named = Whom(at_us, variables.pop("campaign").value, variables.pop("contact").value)
    fields = {
        "first": FirstSeen(at_us, snapshot.name, place),
        "up": (at_us, place) if snapshot.state == UP else None,
        "rang": snapshot.state == RINGING,
        "variables": dict(sorted(variables.items())),
        "named": named,
    }
    return Channel(**(fields | more))  # type: ignore[arg-type]  # the callers' names are the fields'


def _dialled(dest: ChannelSnapshot, caller: str, fact: ChannelsSeen) -> Channel:
    more: dict[str, object] = {}
    if fact.kind in DIALS:
        more["callers"] = [caller] if caller else []
        if fact.kind == "dial_end" and fact.detail:
            more["dial_end"] = DialEnd(fact.at_us, fact.detail, fact.place)
        if fact.detail == "RINGING" or dest.state == RINGING:
            more["rang"] = True
        if fact.kind == "dial_end" and fact.detail == "ANSWER":
            more["up"] = (fact.at_us, fact.place)
    else:
        more["agent"] = Offer(fact.at_us, fact.detail, fact.interface, fact.place)
        if fact.kind == "ring_no_answer":
            more["missed"] = {caller: (fact.at_us, fact.place)}
    return _seen(dest, fact, **more)


def _spoken_of(main: ChannelSnapshot, fact: ChannelsSeen) -> Channel:
    if fact.kind == "hangup":
        return _seen(main, fact, hangup=Hangup(fact.at_us, fact.cause, fact.place))
    if fact.kind == "listed":
        return _seen(main, fact, listed_us=fact.at_us)
    if fact.kind == "request":
        return _seen(main, fact, request=Hangup(fact.at_us, fact.cause, fact.place))
    if letter := MOMENTS.get(fact.kind):
        detail = "" if letter in (HOLD, UNHOLD) else fact.detail
        key = MomentKey(letter, detail, fact.digest.hex() if fact.digest else "")
        return _seen(main, fact, moments={key.text: [fact.at_us]}, places={letter: fact.place})
    return _seen(main, fact)
