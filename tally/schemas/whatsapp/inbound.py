"""Inbound messages: replies, quotes, presses of a quick reply, and changes of number.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from typing import Any

from tally.schemas.errors import BadEvent
from tally.schemas.facts import MESSAGE, Inbound, Quoted
from tally.schemas.fields import digest, event_seconds, meta_id, optional_meta_id, required, typed
from tally.schemas.keys import join_parts
from tally.schemas.records import KeyedCustomerSeen, Routed
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


def read_message(message: dict[str, Any], number: str, sender: Any, latest: int, routed: Routed) -> None:
    """Read one inbound message. `sender` is the POST's only contact, if it has just one.

    Its time is at most the latest one in ms. Raises BadEvent, whose path begins at the message.
    """
    wamid = meta_id(message, "id", "")
    kind = typed(required(message, "type", ""), str, ".type")
    at_s = event_seconds(required(message, "timestamp", ""), ".timestamp", latest)
    who = _identifiers(message, kind)
    if not who and kind in REPLY_TYPES:
        who = _only_contact(sender)
    quoted = _quoted(message)
    routed.see("message", kind, TYPES)
    inbound = Inbound(digest(wamid), at_s) if kind in REPLY_TYPES else None
    if inbound or len(who) > 1:
        routed.facts.append(KeyedCustomerSeen(join_parts(number), b"", who, inbound=inbound))
    if quoted:
        routed.add(MESSAGE, join_parts(number, quoted), Quoted(at_s, clicked=kind == "button"))


def _identifiers(message: dict[str, Any], kind: str) -> list[bytes]:
    """Return the sender's identifiers; a system message links the former and the present ones."""
    who = identifiers(message, "", ("from",), SENDER_USER_KEYS)
    if kind == "system" and (system := message.get("system")) is not None:
        who += identifiers(typed(system, dict, ".system"), ".system", SYSTEM_PHONE_KEYS, SYSTEM_USER_KEYS)
    return who


def _only_contact(sender: Any) -> list[bytes]:
    """Return the ids of the only contact beside an only message without a sender of its own."""
    who = contact_identifiers(sender) if isinstance(sender, dict) else []
    if not who:
        raise BadEvent("missing_field", ".from")
    return who


def _quoted(message: dict[str, Any]) -> str | None:
    """Return the id of the message that this one refers to: present on taps and swiped replies only."""
    context = message.get("context")
    if context is None:
        return None
    return optional_meta_id(typed(context, dict, ".context"), "id", ".context")
