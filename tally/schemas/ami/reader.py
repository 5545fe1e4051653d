"""One record of `ami-events`: an AMI packet into facts about calls and operators."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tally.schemas.ami import channels, queues
from tally.schemas.ami.events import KINDS, KNOWN, MEMBERS, NOISE
from tally.schemas.ami.moment import Moment, moment_of
from tally.schemas.ami.packet import Packet, decoded, packet_of, read_packet
from tally.schemas.bounds import PACKET_LINES, RECORD
from tally.schemas.call_facts import CALL, OPERATOR, ChannelsSeen, Originated, Resynced
from tally.schemas.conventions import CONVENTIONS, Conventions, Whose
from tally.schemas.errors import BadEvent
from tally.schemas.fields import MAX_ID, checked_text, producer_id, text_of
from tally.schemas.keys import join_parts
from tally.schemas.records import Routed, read_object

Headers = Iterable[tuple[str, bytes | None]]
Own = dict[str, bytes | None]
MALFORMED = "malformed"
"""Header of what the collector could not read as a packet; its pieces may look like one."""
PACKET = f"lines of `Name: value`, at most {PACKET_LINES.most}, without NUL"
ANY = "any"
"""The header `tenants` of a PBX whose channels may name other tenants than its own."""
NOBODYS = Whose()
RESYNC = "tally-resync-"
"""Begins the ActionIDs of the collector's own lists, which are whole; another's list may be of one queue."""
LIST_US = 1_000_000
"""A list ends up to so much later than it looked at the first of its channels."""


def read_ami(
    value: bytes | None,
    headers: Headers = (),
    conventions: Conventions = CONVENTIONS,
    published_ms: int | None = None,
) -> Routed:
    """Turn one AMI event, as a packet's text or as a JSON object, into facts.

    What holds for a whole PBX until something later comes, resyncs and descriptions of operators, is never
    later than Kafka's time of the record: a clock that was ahead once must not silence a PBX.
    """
    routed = Routed()
    try:
        own = dict(headers)
        if MALFORMED in own:
            raise BadEvent("bad_packet", "$", PACKET)
        name = quick_name(value or b"")
        if name not in NOISE and not _is_foreign(name, value or b"", conventions):
            packet = _packet(value)
            name = packet.get("event") or ("response" if "response" in packet else "")
            if not name:
                raise BadEvent("bad_packet", "$.Event", "the name of an event, or a Response")
            _read(name, packet, own, conventions, routed, published_ms)
        routed.see("ami_event", name, KNOWN | {"response"})
    except BadEvent as error:
        routed.refuse(error.bad)
    return routed


def quick_name(value: bytes) -> str:
    """Return the event's name where the packet begins with it, as Asterisk writes it; empty otherwise."""
    if not value.startswith(b"Event: "):
        return ""
    return _rest_of_line(value, 7)


def _is_foreign(name: str, value: bytes, conventions: Conventions) -> bool:
    """Return whether a packet sets a variable, or is a UserEvent, that the settings do not name.

    Most events are of that kind where the dialplan's are asked for, and need no more than this look.
    """
    if name == "VarSet" and (at := value.find(b"\nVariable: ")) >= 0:
        return _rest_of_line(value, at + 11).lstrip("_") not in conventions.variables
    if name == "UserEvent" and (at := value.find(b"\nUserEvent: ")) >= 0:
        return _rest_of_line(value, at + 12) != conventions.amd_event
    return False


def _rest_of_line(value: bytes, at: int) -> str:
    end = value.find(b"\n", at)
    return value[at : end if end >= 0 else None].decode("latin-1").rstrip("\r")


def _packet(value: bytes | None) -> Packet:
    """Decode a record. Raises BadEvent: `too_large`, `bad_packet`, and what a JSON object raises."""
    body = value or b""
    if len(body) > RECORD.most:
        raise BadEvent("too_large", "$", f"at most {RECORD.most} {RECORD.of}")
    if body.lstrip()[:1] == b"{":
        return packet_of(_strings(read_object(body)))
    # Before it is decoded: four million lines are a list of four million. No PBX writes a NUL.
    if b"\0" in body or body.strip(b"\r\n").count(b"\n") >= PACKET_LINES.most:
        raise BadEvent("bad_packet", "$", PACKET)
    try:
        return read_packet(decoded(body))
    except ValueError:
        raise BadEvent("bad_packet", "$", PACKET) from None


def _strings(body: dict[str, Any]) -> Mapping[str, str | list[str]]:
    """Check that an object holds strings, and lists of them; `received_at` may be an integer.

    There are no more of them than a packet may have lines.
    """
    if sum(len(value) if type(value) is list else 1 for value in body.values()) > PACKET_LINES.most:
        raise BadEvent("bad_packet", "$", f"at most {PACKET_LINES.most} {PACKET_LINES.of}")
    fields: dict[str, str | list[str]] = {}
    for name, value in body.items():
        texts = value if type(value) is list else [value]
        if all(type(one) is str for one in texts):
            if any("\0" in one for one in texts):
                raise BadEvent("bad_packet", "$", "text without U+0000")
            fields[name] = value
        elif name == "received_at" and type(value) is int:
            fields[name] = str(value)
        else:
            # Not the name: it is what the sender wrote, and paths are logged.
            raise BadEvent("wrong_type", "$", "an object of texts and lists of texts")
    return fields


def _read(
    name: str,
    packet: Packet,
    headers: Own,
    conventions: Conventions,
    routed: Routed,
    published_ms: int | None,
) -> None:
    if name in NOISE or name not in KNOWN:
        return
    pbx = _own(packet, headers, "pbx")
    if not pbx:
        raise BadEvent("missing_field", "$.pbx", text_of(MAX_ID))
    key = join_parts(checked_text(pbx, "$.pbx", MAX_ID))
    whose = _whose(packet, headers)
    at = moment_of(packet, _own(packet, headers, "received_at"), published_ms)
    if name in KINDS:
        if seen := channels.seen(KINDS[name], packet, at, whose, conventions):
            routed.add(CALL, key, seen)
    elif name in MEMBERS:
        routed.add(OPERATOR, key, queues.member_seen(name, packet, _by(published_ms, at), whose.tenant))
    elif name in _SAYING:
        if fact := _SAYING[name](packet, at, whose, conventions):
            routed.add(CALL, key, fact)
    else:
        _RESYNCS[name](key, packet, _by(published_ms, at), routed)


def _whose(packet: Packet, headers: Own) -> Whose:
    """Return whose PBX it is: its tenant is everything's there, unless the record allows any."""
    tenant, tenants = _own(packet, headers, "tenant"), _own(packet, headers, "tenants")
    if tenants not in ("", ANY):
        raise BadEvent("wrong_type", "$.tenants", f"`{ANY}`, or nothing")
    if not tenant:
        return NOBODYS
    return Whose(producer_id(tenant, "$.tenant"), is_bound=tenants != ANY)


def _by(published_ms: int | None, at: Moment) -> Moment:
    """Return a moment that is not later than the end of the millisecond of its record."""
    if published_ms is None or at.us < (published_ms + 1) * 1000:
        return at
    return Moment(published_ms * 1000, at.digest)


def _own(packet: Packet, headers: Own, name: str) -> str:
    """Return one of Tally's own fields: a header of the record, or a field of its JSON object."""
    value = headers.get(name)
    return packet.get(name) if value is None else decoded(value)


def _booted(key: bytes, packet: Packet, at: Moment, routed: Routed) -> None:
    """Take a restart: whatever was heard of before the PBX came up is over. Without Uptime it is a login."""
    if "uptime" in packet:
        uptime_s = channels.whole(packet.get("uptime"))
        if uptime_s < 0:
            raise BadEvent("wrong_type", "$.Uptime", "whole seconds")
        # The uptime is rounded down: one more second, so that nothing after the start is resynced.
        resynced = Resynced(max(at.us - (uptime_s + 1) * 1_000_000, 0))
        routed.add(CALL, key, resynced)
        routed.add(OPERATOR, key, resynced)


def _channels_listed(key: bytes, _packet: Packet, at: Moment, routed: Routed) -> None:
    routed.add(CALL, key, Resynced(max(at.us - LIST_US, 0)))


def _queues_listed(key: bytes, packet: Packet, at: Moment, routed: Routed) -> None:
    if packet.get("actionid").startswith(RESYNC):
        routed.add(OPERATOR, key, Resynced(max(at.us - LIST_US, 0)))


_SAYING: Mapping[str, Callable[[Packet, Moment, Whose, Conventions], ChannelsSeen | Originated | None]] = {
    "OriginateResponse": channels.originated,
    "VarSet": channels.variable_set,
    "UserEvent": channels.verdict,
}
_RESYNCS: Mapping[str, Callable[[bytes, Packet, Moment, Routed], None]] = {
    "FullyBooted": _booted,
    "CoreShowChannelsComplete": _channels_listed,
    "QueueStatusComplete": _queues_listed,
}
