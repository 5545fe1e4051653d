"""Inbound messages: replies, quotes, presses of a quick reply, and changes of number.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from typing import Any

from tally.schemas.errors import BadEvent
from tally.schemas.facts import MESSAGE, Inbound, Quoted
from tally.schemas.fields import digest, meta_id, optional_meta_id, required, typed, unix_seconds
from tally.schemas.keyed import KeyedSighting
from tally.schemas.keys import join_parts
from tally.schemas.routed import Routed
from tally.schemas.whatsapp.identity import (
    SENDER_USER_KEYS,
    SYSTEM_PHONE_KEYS,
    SYSTEM_USER_KEYS,
    contact_identifiers,
    identifiers,
)

REPLY_TYPES = frozenset(
    {
        *("text", "image", "video", "audio", "document", "sticker"),
        *("button", "interactive", "order", "location", "contacts"),
    }
)
TYPES = REPLY_TYPES | {
    *("reaction", "system", "unsupported", "unknown", "edit", "revoke"),
    *("request_welcome", "ephemeral", "poll", "group_invite", "hsm"),
}


def read_message(message: dict[str, Any], path: str, number: str, sender: Any, routed: Routed) -> None:
    """Read one inbound message. `sender` is the POST's only contact, if it has just one. Raises BadEvent."""
    wamid = meta_id(message, "id", path)
    kind = typed(required(message, "type", path), str, f"{path}.type")
    at_s = unix_seconds(required(message, "timestamp", path), f"{path}.timestamp")
    who = _identifiers(message, path, kind)
    if not who and kind in REPLY_TYPES:
        who = _only_contact(sender, path)
    quoted = _quoted(message, path)
    routed.see("message", kind, TYPES)
    inbound = Inbound(digest(wamid), at_s) if kind in REPLY_TYPES else None
    if inbound or len(who) > 1:
        routed.facts.append(KeyedSighting(join_parts(number), b"", who, inbound=inbound))
    if quoted:
        routed.add(MESSAGE, join_parts(number, quoted), Quoted(at_s, clicked=kind == "button"))


def _identifiers(message: dict[str, Any], path: str, kind: str) -> list[bytes]:
    """Return the sender's identifiers; a system message links the former and the present ones."""
    who = identifiers(message, path, ("from",), SENDER_USER_KEYS)
    if kind == "system" and (system := message.get("system")) is not None:
        where = f"{path}.system"
        who += identifiers(typed(system, dict, where), where, SYSTEM_PHONE_KEYS, SYSTEM_USER_KEYS)
    return who


def _only_contact(sender: Any, path: str) -> list[bytes]:
    """Return the ids of the only contact beside an only message without a sender of its own."""
    who = contact_identifiers(sender, path) if isinstance(sender, dict) else []
    if not who:
        raise BadEvent("missing_field", f"{path}.from")
    return who


def _quoted(message: dict[str, Any], path: str) -> str | None:
    """Return the id of the message that this one refers to: present on taps and swiped replies only."""
    context = message.get("context")
    if context is None:
        return None
    where = f"{path}.context"
    return optional_meta_id(typed(context, dict, where), "id", where)
