"""Webhooks with messages of customers, and with changes of their numbers and user ids."""

from dataclasses import dataclass
from random import Random

from tally.simulator.population import BusinessNumber, Person
from tally.simulator.records import Json
from tally.simulator.samples import change_of, sample, value_of
from tally.simulator.statuses import contact_entry, put_number, shown

# The bodies of customers' messages, and their relative frequency.
BODIES = {
    "pywa__message__text": 40,
    "restfb__webhook-incoming-message-text": 10,
    "pywa__callback_button__quick_reply": 12,
    "pywa__callback_button__button": 5,
    "pywa__callback_selection__callback": 3,
    "pywa__flow_completion__completion": 2,
    "pywa__call_permission_update__accept": 1,
    "pywa__message__voice": 4,
    "pywa__message__media_with_url": 3,
    "pywa__message__document": 2,
    "pywa__message__contacts": 2,
    "pywa__message__current_location": 2,
    "pywa__message__animated_sticker": 2,
    "pywa__message__referral": 1,
    "pywa__message__forwarded_many_times": 1,
    "metadoc__video__1": 2,
    "metadoc__order__1": 2,
    # The following bodies are not replies.
    "pywa__message__reaction": 5,
    "pywa__message__unreaction_no_emoji": 1,
    "pywa__message__unsupported": 2,
    "restfb__webhook-incoming-message-error": 1,
    "metadoc__edit__1": 1,
    "pywa__deleted_message__revoke": 1,
}


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message of a customer: sender, business number, time, and the message that it quotes."""

    number: BusinessNumber
    person: Person
    message_id: str
    at_s: int
    quoted_id: str | None = None
    is_later: bool = False  # after a change of number or of user id


def _sign(rng: Random, item: Json, inbound: Inbound) -> None:
    person = shown(rng, inbound.person)
    for key in ("from", "from_user_id", "from_parent_user_id"):
        item.pop(key, None)
    if person != inbound.person:
        item["group_id"] = inbound.person.wa_id
    if inbound.is_later and person.kind == "new_number":
        item["from"] = person.later_wa_id
        return
    if inbound.is_later and person.kind == "new_user_id":
        item["from_user_id"] = person.later_user_id
        return
    if not person.hides_phone:
        item["from"] = person.wa_id
    if person.hides_phone or rng.random() < 0.5:
        item["from_user_id"] = person.user_id
        if person.parent_user_id:
            item["from_parent_user_id"] = person.parent_user_id


def inbound_body(rng: Random, inbound: Inbound, name: str | None = None) -> Json:
    """Return a webhook body with one message of a customer, made from the sample `name` or a random one."""
    body = sample(name or rng.choices(list(BODIES), weights=list(BODIES.values()))[0])
    put_number(body, inbound.number)
    value = value_of(body)
    item: Json = value["messages"][0]
    item |= {"id": inbound.message_id, "timestamp": str(inbound.at_s)}
    _sign(rng, item, inbound)
    if "reaction" in item and inbound.quoted_id:
        item["reaction"]["message_id"] = inbound.quoted_id
    elif inbound.quoted_id:
        item["context"] = {"from": inbound.number.display_phone_number, "id": inbound.quoted_id}
    elif "id" in item.get("context", {}):
        del item["context"]
    if "group_id" not in item and rng.random() < 0.05:
        item["group_id"] = f"Y2FwaV9ncm91cDo{rng.randrange(5)}"
    value.pop("contacts", None)
    if not inbound.is_later and rng.random() < 0.7:
        value["contacts"] = [contact_entry(rng, shown(rng, inbound.person))]
    return body


def number_change_body(number: BusinessNumber, person: Person, message_id: str, at_s: int) -> Json:
    """Return a system message: it comes from the old number, and names the new one."""
    body = sample("pywa__system__phone_number_change")
    put_number(body, number)
    item: Json = value_of(body)["messages"][0]
    item |= {"from": person.wa_id, "id": message_id, "timestamp": str(at_s)}
    item["system"] |= {
        "body": f"User A changed from {person.wa_id} to {person.later_wa_id}",
        "wa_id": person.later_wa_id,
    }
    return body


def user_id_change_body(number: BusinessNumber, person: Person, at_s: int) -> Json:
    """Return a `user_id_update`: a person has a new business-scoped id."""
    body = sample("pywa__user_marketing_preferences__resume")
    put_number(body, number)
    change = change_of(body)
    change["field"] = "user_id_update"
    value: Json = change["value"]
    del value["user_preferences"]
    value["contacts"] = [{"profile": {"name": "Test Näme"}, "wa_id": person.wa_id}]
    value["user_id_update"] = [
        {
            "wa_id": person.wa_id,
            "detail": "User id for Test Näme has been updated.",
            "user_id": {"previous": person.user_id, "current": person.later_user_id},
            "timestamp": str(at_s),
        }
    ]
    return body
