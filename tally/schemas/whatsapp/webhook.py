"""WhatsApp Cloud API webhook bodies: the envelope, split into facts.

A POST may hold many entries, changes, statuses and messages: all of them count
(https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview).
"""

from collections.abc import Callable
from typing import Any

from tally.schemas.errors import BadEvent
from tally.schemas.fields import meta_id, required, typed
from tally.schemas.keyed import KeyedSighting
from tally.schemas.keys import join_parts
from tally.schemas.routed import Routed, read_object
from tally.schemas.whatsapp.identity import contact_identifiers, renamed_identifiers
from tally.schemas.whatsapp.inbound import read_message
from tally.schemas.whatsapp.status import read_status

OBJECT = "whatsapp_business_account"

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
"""The webhook fields that are counted by name; only `messages` and identities move counters."""

COUNTED = frozenset({"messages", "user_id_update"})
"""Fields whose values move counters; of all others only contacts are read (idle.py)."""

Part = Callable[[dict[str, Any], str], None]


def read_webhook(value: bytes | None) -> Routed:
    """Split one POST body into facts; bad parts are listed with their paths and the rest counts."""
    routed = Routed()
    try:
        body = read_object(value)
        if required(body, "object", "$") != OBJECT:
            raise BadEvent("unknown_object", "$.object")
        entries = typed(required(body, "entry", "$"), list, "$.entry")
    except BadEvent as error:
        routed.bad.append(error.bad)
        return routed
    _each(entries, "$.entry", routed, lambda entry, path: _read_entry(entry, path, routed))
    return routed


def _each(parts: list[Any], path: str, routed: Routed, read: Part) -> None:
    """Read every part of a list; a bad one is noted and its neighbours go on."""
    for index, part in enumerate(parts):
        where = f"{path}[{index}]"
        try:
            read(typed(part, dict, where), where)
        except BadEvent as error:
            routed.bad.append(error.bad)


def _read_entry(entry: dict[str, Any], path: str, routed: Routed) -> None:
    where = f"{path}.changes"
    changes = typed(required(entry, "changes", path), list, where)
    _each(changes, where, routed, lambda change, at: _read_change(change, at, routed))


def _read_change(change: dict[str, Any], path: str, routed: Routed) -> None:
    field = typed(required(change, "field", path), str, f"{path}.field")
    routed.see("field", field, FIELDS)
    value = change.get("value")
    if field == "messages":
        value = typed(required(change, "value", path), dict, f"{path}.value")
    if isinstance(value, dict):
        _read_value(value, f"{path}.value", field, routed)


def _read_value(value: dict[str, Any], path: str, field: str, routed: Routed) -> None:
    """Read one change's value. Calls have statuses of their own, which are none of ours."""
    contacts = _list(value, "contacts", path)
    messages = _list(value, "messages", path) if field == "messages" else []
    statuses = _list(value, "statuses", path) if field == "messages" else []
    renames = _list(value, "user_id_update", path) if field == "user_id_update" else []
    if field == "messages" and (errors := _list(value, "errors", path)):
        routed.seen += [("value_error", "account")] * len(errors)
    if not (contacts or messages or statuses or renames):
        return
    number = _number(value, path, field)
    if number is None:
        return

    def link(identifiers: list[bytes]) -> None:
        if len(identifiers) > 1:
            routed.facts.append(KeyedSighting(join_parts(number), b"", identifiers))

    _each(contacts, f"{path}.contacts", routed, lambda c, at: link(contact_identifiers(c, at)))
    _each(renames, f"{path}.user_id_update", routed, lambda r, at: link(renamed_identifiers(r, at)))
    _each(statuses, f"{path}.statuses", routed, lambda s, at: read_status(s, at, number, routed))
    sender = contacts[0] if len(contacts) == len(messages) == 1 else None
    _each(messages, f"{path}.messages", routed, lambda m, at: read_message(m, at, number, sender, routed))


def _number(value: dict[str, Any], path: str, field: str) -> str | None:
    """Return the business number's id; a change that counts nothing may go without."""
    metadata = value.get("metadata")
    if field != "messages" and not (isinstance(metadata, dict) and metadata.get("phone_number_id")):
        return None
    metadata = typed(required(value, "metadata", path), dict, f"{path}.metadata")
    return meta_id(metadata, "phone_number_id", f"{path}.metadata")


def _list(value: dict[str, Any], name: str, path: str) -> list[Any]:
    found = value.get(name)
    return [] if found is None else typed(found, list, f"{path}.{name}")
