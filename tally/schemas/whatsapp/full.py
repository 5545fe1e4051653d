"""WhatsApp Cloud API webhook bodies: the envelope, split into facts.

A POST may hold many entries, changes, statuses and messages: all of them count
(https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from tally.schemas.errors import Bad, BadEvent
from tally.schemas.fields import LIST, OBJECT, TEXT, latest_ms, meta_id, required, typed
from tally.schemas.keys import join_parts
from tally.schemas.numbers import NO_NUMBERS, Numbers
from tally.schemas.records import KeyedCustomerSeen, Routed, read_object
from tally.schemas.whatsapp import echo
from tally.schemas.whatsapp.identity import contact_identifiers, renamed_identifiers
from tally.schemas.whatsapp.inbound import read_message
from tally.schemas.whatsapp.status import read_status

WEBHOOK = "whatsapp_business_account"
"""What the object of every POST is."""

FIELDS = frozenset(
    {
        *("messages", "user_id_update", "calls", "user_preferences", "history", "flows", "security"),
        *("message_template_status_update", "message_template_quality_update", "standby"),
        *("message_template_components_update", "template_category_update", "account_update"),
        *("phone_number_quality_update", "phone_number_name_update", "account_alerts"),
        *("account_review_update", "business_capability_update", "business_username_update"),
        *("business_username_updates", "smb_message_echoes", "smb_app_state_sync", "message_echoes"),
        *("payment_configuration_update", "partner_solutions", "automatic_events"),
        *("group_lifecycle_update", "group_participants_update", "group_settings_update"),
        *("group_status_update", "tracking_events", "template_correct_category_detection"),
    }
)
"""The webhook fields that are counted by name; only messages, echoes and identities move counters."""

COUNTED = echo.FIELDS | {"user_id_update"}
"""Fields whose values move counters; of all others only contacts are read (fast.py)."""

USER_ACTIONS = frozenset({"marketing_messages_link_click"})
"""What customers did that names no message: counted by name only.

https://developers.facebook.com/documentation/business-messaging/whatsapp/marketing-messages/track-click-events
"""

NO_OBJECT = Bad("wrong_type", "", OBJECT)
Part = Callable[[dict[str, Any], int, list[Bad]], None]
"""Reads a part of a list, at its index, and adds to a list what of it is bad.

Paths, also of a BadEvent that it raises, begin at the part.
"""


def read_webhook(
    value: bytes | None, published_ms: int | None = None, numbers: Numbers = NO_NUMBERS
) -> Routed:
    """Split one POST body into facts; bad parts are listed with their paths and the rest counts.

    `published_ms` is Kafka's time of the record: no event happened more than a day later. `numbers` says
    which ids are of one business number.
    """
    routed = Routed()
    try:
        body = read_object(value)
        if required(body, "object", "$", WEBHOOK) != WEBHOOK:
            raise BadEvent("unknown_object", "$.object", WEBHOOK)
        entries = typed(required(body, "entry", "$", LIST), list, "$.entry")
    except BadEvent as error:
        routed.refuse(error.bad)
        return routed
    _Webhook(routed, latest_ms(published_ms), numbers).read_entries(entries)
    return routed


class _Webhook(NamedTuple):
    """What all parts of one POST are read into, the latest time that any may name, and business numbers."""

    routed: Routed
    latest: int
    numbers: Numbers

    def read_entries(self, entries: list[Any]) -> None:
        place = "$.entry"
        self._each(entries, place, lambda entry, index, _: self._read_entry(entry, f"{place}[{index}]"))

    def _each(self, parts: list[Any], place: str, read: Part) -> None:
        """Read every part of a list; a bad one is noted and its neighbours go on.

        A path is made for each bad part that is listed and for no other: a list may hold nothing else.
        """
        found: list[Bad] = []
        for index, part in enumerate(parts):
            if type(part) is not dict:
                self.routed.refuse(NO_OBJECT, place, index)
                continue
            try:
                read(part, index, found)
            except BadEvent as error:
                found.append(error.bad)
            if found:
                for bad in found:
                    self.routed.refuse(bad, place, index)
                found.clear()

    def _read_entry(self, entry: dict[str, Any], path: str) -> None:
        changes = typed(required(entry, "changes", "", LIST), list, ".changes")
        place = f"{path}.changes"
        self._each(changes, place, lambda change, index, _: self._read_change(change, f"{place}[{index}]"))

    def _read_change(self, change: dict[str, Any], path: str) -> None:
        field = typed(required(change, "field", "", TEXT), str, ".field")
        self.routed.see("field", field, FIELDS)
        value = change.get("value")
        if field == "messages":
            value = typed(required(change, "value", "", OBJECT), dict, ".value")
        if isinstance(value, dict):
            self._read_value(value, f"{path}.value", field)

    def _list(self, value: dict[str, Any], path: str, name: str) -> list[Any]:
        """Return one of a value's lists; one that is none is a bad part, and the others count."""
        found = value.get(name)
        if found is None or type(found) is list:
            return found or []
        self.routed.refuse(Bad("wrong_type", f"{path}.{name}", LIST))
        return []

    def _read_value(self, value: dict[str, Any], path: str, field: str) -> None:
        """Read one change's value. Calls have statuses of their own, which are none of ours."""
        routed, latest = self.routed, self.latest
        contacts = self._list(value, path, "contacts")
        messages = self._list(value, path, "messages") if field == "messages" else []
        statuses = self._list(value, path, "statuses") if field == "messages" else []
        renames = self._list(value, path, "user_id_update") if field == "user_id_update" else []
        echoes = self._list(value, path, "message_echoes") if field in echo.FIELDS else []
        if field == "messages" and (errors := self._list(value, path, "errors")):
            routed.seen += [("value_error", "account")] * len(errors)
        if field == "messages":
            for action in self._list(value, path, "user_actions"):
                name = action.get("action_type") if isinstance(action, dict) else None
                routed.see("user_action", str(name), USER_ACTIONS)
        if not (contacts or messages or statuses or renames or echoes):
            return
        number = _number(value, field)
        if number is None:
            return

        number = self.numbers.first_id(number)
        key = join_parts(number)

        def link(identifiers: list[bytes]) -> None:
            if len(identifiers) > 1:
                routed.facts.append(KeyedCustomerSeen(key, b"", identifiers))

        self._each(contacts, f"{path}.contacts", lambda part, _, bad: link(contact_identifiers(part, bad)))
        self._each(
            renames, f"{path}.user_id_update", lambda part, _, bad: link(renamed_identifiers(part, bad))
        )
        self._each(
            statuses, f"{path}.statuses", lambda part, _, bad: read_status(part, key, latest, routed, bad)
        )
        self._each(
            echoes,
            f"{path}.message_echoes",
            lambda part, _, bad: echo.read_echo(part, key, latest, routed, bad),
        )
        sender = contacts[0] if len(contacts) == len(messages) == 1 else None
        self._each(
            messages,
            f"{path}.messages",
            lambda part, _, bad: read_message(part, number, sender, latest, routed, bad),
        )


def _number(value: dict[str, Any], field: str) -> str | None:
    """Return the business number's id; a change that counts nothing may go without."""
    metadata, path = value.get("metadata"), ".value.metadata"
    if field != "messages" and not (isinstance(metadata, dict) and metadata.get("phone_number_id")):
        return None
    return meta_id(typed(required(value, "metadata", ".value", OBJECT), dict, path), "phone_number_id", path)
