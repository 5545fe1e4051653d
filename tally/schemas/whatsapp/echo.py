"""Echoes: messages that somebody sent from the app on the business's phone, beside the API.

Nobody publishes send results of them, and their statuses come as those of any other message.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_message_echoes
"""

from typing import Any

from tally.schemas.errors import Bad
from tally.schemas.facts import MESSAGE, Claim, Claimed
from tally.schemas.fields import SECONDS, event_seconds, meta_id, required
from tally.schemas.records import KeyedCustomerSeen, Routed
from tally.schemas.wamids import message_id
from tally.schemas.whatsapp.identity import identifiers

FIELDS = frozenset({"smb_message_echoes", "message_echoes", "messages"})
"""The webhook fields whose values may hold echoes."""
USER_KEYS = ("to_user_id", "to_parent_user_id")


def read_echo(echo: dict[str, Any], number: bytes, latest: int, routed: Routed, bad: list[Bad]) -> None:
    """Read one echo into the claim of a service message, and the link of its recipient.

    `number` is the key of its business number; its time is at most the latest one in ms. Parts of it that
    cannot be read are added to `bad`. Raises BadEvent where the echo cannot be; paths begin at the echo.
    """
    message = message_id(meta_id(echo, "id", ""))
    at_s = event_seconds(required(echo, "timestamp", "", SECONDS), ".timestamp", latest)
    recipient = identifiers(echo, "", ("to",), USER_KEYS, bad)
    key = b"%b/%b" % (number, message.part)
    routed.see_wamid(message)
    routed.add(MESSAGE, key, Claimed(Claim(at_s * 1000), message.spelling))
    if recipient:
        routed.facts.append(KeyedCustomerSeen(number, key, recipient))
