"""What AMI events say about channels; source: Asterisk's main/manager_channels.c and apps/app_queue.c."""

from collections.abc import Iterable
from hashlib import blake2b

from tally.schemas.ami.events import NO_ATTEMPT
from tally.schemas.ami.moment import Moment
from tally.schemas.ami.packet import Packet, queue_name, unescaped
from tally.schemas.call_facts import ChannelSnapshot, ChannelsSeen, Kind, Originated, Role
from tally.schemas.conventions import Conventions, Whose
from tally.schemas.errors import BadEvent
from tally.schemas.fields import MAX_ID, MAX_META_ID, canonical_id, checked_text, text_of
from tally.schemas.keys import bounded_name

UNKNOWN = "<unknown>"
WAITING_ROOM = "holding_bridge"
"""The technology of bridges that connect nobody (Asterisk's bridges/bridge_holding.c)."""
BLANKS = " \t\n\r\f\v"
PREFIXES = (
    *("", "dest", "localone", "localtwo", "target", "transferer", "transferee", "transfertarget"),
    *("origtransferer", "secondtransferer", "parkee", "parker"),
)
"""Of the fields of further channels that an event shows whole, its own first."""

_BRIDGES = frozenset({"enter", "leave"})
_QUEUES = frozenset({"join", "unjoin", "abandon", "agent", "ring_no_answer"})
_OF_DEST = frozenset({"dial", "dial_end", "agent", "ring_no_answer"})
"""Events about their Dest, as others are about their own channel: one that does not show it says no more than
who is there."""


def seen(
    kind: Kind, packet: Packet, at: Moment, whose: Whose, conventions: Conventions
) -> ChannelsSeen | None:
    """Return what an event shows; None for a phantom channel.

    Raises BadEvent `missing_field` where it shows no channel, or lacks the bridge or queue that it is about.
    """
    snapshots = _snapshots(packet, whose, conventions)
    if not snapshots:
        raise BadEvent("missing_field", "$.Uniqueid", text_of(MAX_META_ID))
    if any(snapshot.name == NO_ATTEMPT for snapshot in snapshots):
        return None
    detail = _text(packet.get("dialstatus"))
    if kind in _BRIDGES:
        detail = blake2b(_place(packet).encode(), digest_size=6).hexdigest()
    elif kind in _QUEUES:
        detail = queue_name(_id(packet, "Queue"))
    if not _is_shown(packet, "dest" if kind in _OF_DEST else ""):
        kind, detail = "seen", ""
    return ChannelsSeen(
        at.us, kind, snapshots, detail, _text(packet.get("interface")), _cause(kind, packet), at.digest
    )


def originated(packet: Packet, at: Moment, whose: Whose, _conventions: Conventions) -> Originated | None:
    """Return how an Originate ended; None where nothing tells which one."""
    action_id, unique = packet.get("actionid"), packet.get("uniqueid")
    unique = "" if unique == UNKNOWN else unique
    if not action_id and not unique:
        return None
    return Originated(at.us, _text(action_id), _text(unique), whole(packet.get("reason")), whose.bound)


def variable_set(packet: Packet, at: Moment, whose: Whose, conventions: Conventions) -> ChannelsSeen | None:
    """Return a variable of ours that was set on a channel; its value is not escaped here."""
    role = conventions.variables.get(packet.get("variable").lstrip("_"))
    return _with_variable(role, packet.get("value"), packet, at, whose, conventions) if role else None


def verdict(packet: Packet, at: Moment, whose: Whose, conventions: Conventions) -> ChannelsSeen | None:
    """Return what a UserEvent of ours says of who answered."""
    if not conventions.amd_event or packet.get("userevent") != conventions.amd_event:
        return None
    return _with_variable("amd", packet.get("status"), packet, at, whose, conventions)


def number(packet: Packet, name: str) -> int:
    """Return a whole number of a packet; 0 where it is none, as Asterisk writes unknown causes."""
    return max(whole(packet.get(name)), 0)


def whole(text: str) -> int:
    """Return a whole number; -1 where a text is none."""
    value = text.strip(BLANKS)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else -1


def _with_variable(
    role: Role, value: str, packet: Packet, at: Moment, whose: Whose, conventions: Conventions
) -> ChannelsSeen | None:
    fact = seen("seen", packet, at, whose, conventions) if value and "uniqueid" in packet else None
    if fact and not (role == "tenant" and whose.is_bound):
        _show(fact.channels[0].variables, role, value)
    return fact


def _snapshots(packet: Packet, whose: Whose, conventions: Conventions) -> list[ChannelSnapshot]:
    """Return every channel that the packet shows whole: its own first, then its Dest, then others."""
    return [_snapshot(packet, prefix, whose, conventions) for prefix in PREFIXES if _is_shown(packet, prefix)]


def _is_shown(packet: Packet, prefix: str) -> bool:
    """Return whether an event shows a channel whole, with its name and Uniqueid."""
    return f"{prefix}channel" in packet and packet.get(f"{prefix}uniqueid") not in ("", UNKNOWN)


def _snapshot(packet: Packet, prefix: str, whose: Whose, conventions: Conventions) -> ChannelSnapshot:
    state = packet.get(f"{prefix}channelstate")
    variables = _variables(packet.all(f"{prefix}chanvariable"), conventions)
    if whose.is_bound:
        variables.pop("tenant", None)
    return ChannelSnapshot(
        checked_text(packet.get(f"{prefix}uniqueid"), "$.Uniqueid", MAX_META_ID),
        _text(packet.get(f"{prefix}linkedid")),
        _text(packet.get(f"{prefix}channel")),
        int(state) if len(state) == 1 and state.isascii() and state.isdigit() else -1,
        variables | dict(_tenants(packet.get(f"{prefix}tenantid"), whose)),
    )


def _variables(entries: list[str], conventions: Conventions) -> dict[Role, str]:
    found: dict[Role, str] = {}
    for entry in entries:
        name, _, value = entry.partition("=")
        role = conventions.variables.get(name.lstrip("_"))
        # An escape is two characters: what is longer than this is too long without them as well.
        if role and value and len(value) <= 2 * MAX_META_ID:
            _show(found, role, unescaped(value))
    return found


def _show(found: dict[Role, str], role: Role, value: str) -> None:
    """Add a variable; one without a value, or with one that no id is long enough for, says nothing.

    A script may be as long as a send result's template, which may be the same one, and is bounded as that is.
    """
    if "\0" in value:
        raise BadEvent("bad_id", "$.ChanVariable", "text without U+0000")
    value = canonical_id(value.strip(BLANKS))
    if not 0 < len(value) <= (MAX_META_ID if role == "script" else MAX_ID):
        return
    # One event may show it as `NAME` and as `__NAME`: the smallest holds, whichever comes first.
    value = bounded_name(value) if role == "script" else value
    if role not in found or value < found[role]:
        found[role] = value


def _tenants(field: str, whose: Whose) -> Iterable[tuple[Role, str]]:
    """Yield what a channel's own field says, and the record's header, which is about all of its channels.

    A PBX that is bound to a tenant has no channels of others, whatever the field says.
    """
    if whose.tenant:
        yield ("tenant_bound" if whose.is_bound else "tenant_header"), whose.tenant
    if field and not whose.is_bound:
        shown: dict[Role, str] = {}
        _show(shown, "tenant_field", field)
        yield from shown.items()


def _cause(kind: Kind, packet: Packet) -> int:
    """Return the Q.850 cause; a Hangup without one has none of the list, a request without one is ours."""
    return whole(packet.get("cause")) if kind == "hangup" else number(packet, "cause")


def _text(value: str) -> str:
    """Return a text that fits a key, and that Postgres can store."""
    return value.replace("\0", "")[:MAX_META_ID]


def _place(packet: Packet) -> str:
    """Return where an event's channel is: its bridge, and in a waiting room a place of its own there.

    Parking lots, BridgeWait and hold queues are bridges of one technology, in which nobody hears another. A
    place of its own ends a channel's stay in any other bridge, and connects it with nobody.
    """
    bridge = _id(packet, "BridgeUniqueid")
    if packet.get("bridgetechnology") != WAITING_ROOM:
        return bridge
    return f"{bridge}\n{packet.get('uniqueid')}"


def _id(packet: Packet, name: str) -> str:
    value = packet.get(name.lower())
    if not value:
        raise BadEvent("missing_field", f"$.{name}", text_of(MAX_META_ID))
    return checked_text(value, f"$.{name}", MAX_META_ID)
