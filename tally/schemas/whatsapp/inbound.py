"""Inbound messages: replies, quotes, presses of a quick reply, and changes of number.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from typing import Any

from tally.schemas.errors import Bad, BadEvent
from tally.schemas.facts import MESSAGE, Inbound, Press, Quoted
from tally.schemas.fields import (
    OBJECT,
    SECONDS,
    TEXT,
    digest,
    event_seconds,
    meta_id,
    one_of,
    optional_meta_id,
    phone_identifier,
    required,
    typed,
)
from tally.schemas.keys import join_parts
from tally.schemas.records import KeyedCustomerSeen, Routed
from tally.schemas.wamids import message_id
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


def read_message(
    message: dict[str, Any], number: str, sender: Any, latest: int, routed: Routed, bad: list[Bad]
) -> None:
    """Read one inbound message. `sender` is the POST's only contact, if it has just one.

    Its time is at most the latest one in ms. Parts of it that cannot be read are added to `bad`. Raises
    BadEvent where the message cannot be; paths begin at the message.
    """
    wamid = meta_id(message, "id", "")
    kind = typed(required(message, "type", "", TEXT), str, ".type")
    at_s = event_seconds(required(message, "timestamp", "", SECONDS), ".timestamp", latest)
    group = optional_meta_id(message, "group_id", "")
    who = _identifiers(message, kind, bad)
    if not (who or group) and kind in REPLY_TYPES:
        who = _only_contact(sender)
    quoted = _quoted(message, bad)
    routed.see("message", kind, TYPES)
    own = message_id(wamid)
    routed.see_wamid(own)
    is_press = kind == "button"
    inbound = None
    if kind in REPLY_TYPES:
        press: Press = "none" if not is_press else "named" if quoted else "alone"
        inbound = Inbound(digest(own.part), at_s, press)
    if inbound and group:
        # What somebody writes in a group answers what was sent to the group, not what was sent to him.
        in_group = [phone_identifier(group)]
        routed.facts.append(KeyedCustomerSeen(join_parts(number), b"", in_group, inbound=inbound))
        inbound = None
    if inbound or len(who) > 1:
        routed.facts.append(KeyedCustomerSeen(join_parts(number), b"", who, inbound=inbound))
    if quoted:
        named = message_id(quoted)
        routed.see_wamid(named)
        key = b"%b/%b" % (join_parts(number), named.part)
        routed.add(MESSAGE, key, Quoted(at_s, is_press, named.spelling))
        if is_press:
            # Its customer learns that it is clicked, so that a press without context does not click it again.
            routed.facts.append(KeyedCustomerSeen(join_parts(number), key, [], is_pressed=True))


def _identifiers(message: dict[str, Any], kind: str, bad: list[Bad]) -> list[bytes]:
    """Return the sender's identifiers; a system message links the former and the present ones."""
    who = identifiers(message, "", ("from",), SENDER_USER_KEYS, bad)
    if kind == "system" and (system := message.get("system")) is not None:
        if isinstance(system, dict):
            who += identifiers(system, ".system", SYSTEM_PHONE_KEYS, SYSTEM_USER_KEYS, bad)
        else:
            bad.append(Bad("wrong_type", ".system", OBJECT))
    return who


def _only_contact(sender: Any) -> list[bytes]:
    """Return the ids of the only contact beside an only message without a sender of its own.

    What cannot be read of it is noted where contacts are.
    """
    who = contact_identifiers(sender, []) if isinstance(sender, dict) else []
    if not who:
        raise BadEvent("missing_field", ".from", one_of(("from", *SENDER_USER_KEYS)))
    return who


def _quoted(message: dict[str, Any], bad: list[Bad]) -> str | None:
    """Return the id of the message that this one refers to: present on taps and swiped replies only."""
    context = message.get("context")
    if context is None:
        return None
    try:
        return optional_meta_id(typed(context, dict, ".context"), "id", ".context")
    except BadEvent as error:
        bad.append(error.bad)
        return None
