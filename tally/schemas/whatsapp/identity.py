"""Who a webhook speaks of: phones and business-scoped user ids under all their key names.

https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
"""

from collections.abc import Iterable
from typing import Any

from tally.schemas.errors import Bad, BadEvent
from tally.schemas.fields import OBJECT, optional_meta_id, phone_identifier, user_identifier

RECIPIENT_USER_KEYS = (
    "recipient_user_id",
    "recipient_parent_user_id",  # from May 2026
    "parent_recipient_user_id",  # April 2026
    "parent_user_id",  # February 2026
)
PARTICIPANT_PHONE_KEYS = ("participant_recipient_id", "recipient_participant_id")
PARTICIPANT_USER_KEYS = ("recipient_participant_user_id", "recipient_participant_parent_user_id")
SENDER_USER_KEYS = ("from_user_id", "from_parent_user_id")
CONTACT_USER_KEYS = ("user_id", "parent_user_id")
SYSTEM_PHONE_KEYS = ("wa_id", "new_wa_id")
SYSTEM_USER_KEYS = ("user_id", "parent_user_id", "previous_user_id", "previous_parent_user_id")


def identifiers(
    part: dict[str, Any], path: str, phones: Iterable[str], users: Iterable[str], bad: list[Bad]
) -> list[bytes]:
    """Return the identifiers under these keys; absent, null and empty ones say nothing.

    One that cannot be read is added to `bad`, and the others count.
    """
    found: list[bytes] = []
    for names, identifier in ((phones, phone_identifier), (users, user_identifier)):
        for name in names:
            if name not in part:
                continue
            try:
                shown = optional_meta_id(part, name, path)
            except BadEvent as error:
                bad.append(error.bad)
                continue
            if shown:
                found.append(identifier(shown))
    return found


def contact_identifiers(contact: dict[str, Any], bad: list[Bad]) -> list[bytes]:
    """Return what one contacts[] entry shows together."""
    return identifiers(contact, "", ("wa_id",), CONTACT_USER_KEYS, bad)


def renamed_identifiers(rename: dict[str, Any], bad: list[Bad]) -> list[bytes]:
    """Return the former and the present ids of a `user_id_update`: one and the same customer."""
    found = identifiers(rename, "", ("wa_id",), (), bad)
    for name in CONTACT_USER_KEYS:
        change = rename.get(name)
        if isinstance(change, dict):
            found += identifiers(change, f".{name}", (), ("previous", "current"), bad)
        elif change is not None:
            bad.append(Bad("wrong_type", f".{name}", OBJECT))
    return found
