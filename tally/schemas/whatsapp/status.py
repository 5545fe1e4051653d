"""Status objects: what became of a message that was sent.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status
"""

from functools import lru_cache
from typing import Any

from tally.schemas.errors import Bad, BadEvent
from tally.schemas.facts import MESSAGE, Pricing, StatusSeen
from tally.schemas.fields import MAX_ID, SECONDS, TEXT, event_seconds, meta_id, producer_id, required, typed
from tally.schemas.records import KeyedCustomerSeen, Routed
from tally.schemas.wamids import message_id
from tally.schemas.whatsapp.identity import (
    PARTICIPANT_PHONE_KEYS,
    PARTICIPANT_USER_KEYS,
    RECIPIENT_USER_KEYS,
    identifiers,
)

PRICING_RANK = {"sent": 1, "delivered": 2, "read": 3, "played": 4}
COUNTED = frozenset({"sent", "delivered", "read", "played", "failed"})
STATUSES = COUNTED | {"deleted", "warning", "pending"}

OTHER_TYPES = frozenset({"call", "payment"})
"""Types of statuses that are not of messages."""

STATUS_KEYS = frozenset(
    {
        *("id", "status", "timestamp", "type", "errors", "pricing", "conversation"),
        *("recipient_id", "recipient_type", "recipient_identity_key_hash"),
        *("biz_opaque_callback_data", "message", "payment", "group_id"),
        *RECIPIENT_USER_KEYS,
        *PARTICIPANT_PHONE_KEYS,
        *PARTICIPANT_USER_KEYS,
    }
)


def read_status(status: dict[str, Any], number: bytes, latest: int, routed: Routed, bad: list[Bad]) -> None:
    """Read one status into the message's fact and the link of its recipient.

    `number` is the key of its business number; its time is at most the latest one in ms. Parts of it that
    cannot be read are added to `bad`. Raises BadEvent where the status cannot be; paths begin at the status.
    """
    kind = status.get("type")
    if kind not in (None, "message"):
        # Of a call, of a payment, or of whatever comes: it says nothing of the message whose id it names.
        routed.see("status", str(kind), OTHER_TYPES)
        return
    wamid = meta_id(status, "id", "")
    name = typed(required(status, "status", "", TEXT), str, ".status")
    at_s = event_seconds(required(status, "timestamp", "", SECONDS), ".timestamp", latest)
    pricing = _pricing(status, name, at_s)
    error = error_of(status.get("errors")) if name == "failed" else None
    message = message_id(wamid)
    key = b"%b/%b" % (number, message.part)
    recipients = _recipients(status, number, key, bad)
    routed.see("status", name, STATUSES)
    routed.see_wamid(message)
    routed.see_unknown("status", status, STATUS_KEYS)
    if name in COUNTED or pricing is not None:
        routed.add(MESSAGE, key, StatusSeen(name[:MAX_ID], at_s, error, pricing, message.spelling))
    routed.facts += recipients


def _recipients(
    status: dict[str, Any], number: bytes, message: bytes, bad: list[Bad]
) -> list[KeyedCustomerSeen]:
    """Return the recipient's identifiers together with the message: its send may name another phone.

    The recipient of a message to a group is the group. The participant whom a status is about is somebody
    else, whose own ids belong together.
    """
    is_to_group = status.get("recipient_type") == "group"
    found = identifiers(status, "", ("recipient_id",), () if is_to_group else RECIPIENT_USER_KEYS, bad)
    recipients = [KeyedCustomerSeen(number, message, found)] if found else []
    if is_to_group:
        own = identifiers(status, "", PARTICIPANT_PHONE_KEYS, PARTICIPANT_USER_KEYS, bad)
        if len(own) > 1:
            recipients.append(KeyedCustomerSeen(number, b"", own))
    return recipients


def _pricing(status: dict[str, Any], name: str, at_s: int) -> Pricing | None:
    """Return what a status of this name and second says of the price; a group's does so in `conversation`."""
    pricing = status.get("pricing")
    if not isinstance(pricing, dict):
        conversation = status.get("conversation")
        pricing = conversation.get("pricing") if isinstance(conversation, dict) else None
    if not isinstance(pricing, dict):
        return None
    category, kind = (_priced_text(pricing.get(key)) for key in ("category", "type"))
    return priced(name[:MAX_ID], at_s, category, kind)


def _priced_text(part: Any) -> str:
    """Return the first characters of a part of a price; what is no text that can be stored is unknown."""
    return part[:MAX_ID] if isinstance(part, str) and "\0" not in part else ""


@lru_cache(maxsize=1024)
def priced(name: str, at_s: int, category: str, kind: str) -> Pricing:
    """Return the price as a status of this name and second gives it; what is not there is empty.

    The caller cuts the texts off: what is remembered here must be short.
    """
    return Pricing(PRICING_RANK.get(name, 0), at_s, category, kind)


def error_of(errors: Any) -> str | None:
    """Return the smallest `meta:code` as text; None where no error has a code.

    The failure counts in any shape of its errors: Meta has changed it several times.
    """
    codes = [_code(error) for error in (errors if isinstance(errors, list) else [errors])]
    return min((f"meta:{code}" for code in codes if code is not None), default=None)


def _code(error: Any) -> str | None:
    """Return an error's code as text: an integer today, text in some older payloads.

    What is no id of a producer, such as an empty text, is no code.
    """
    code = error.get("code") if isinstance(error, dict) else None
    try:
        return producer_id(code, "")
    except BadEvent:
        return None
