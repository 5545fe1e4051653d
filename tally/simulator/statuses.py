"""Status webhooks: one status per body, in the shapes that Meta has used over the years."""

from dataclasses import dataclass
from random import Random

from tally.simulator.population import BusinessNumber, Person, member
from tally.simulator.records import Json
from tally.simulator.samples import sample, value_of
from tally.simulator.wamids import spelt_anew

BODIES = {
    "sent": (
        "pywa__message_status__sent",
        "metadoc__status__1",
        "restfb__webhook-incoming-message-status-ui",
    ),
    "delivered": (
        "metadoc__messages__1",
        "restfb__webhook-incoming-message-status-bsuid",
        "metadoc__business_scoped_user_ids__7",
    ),
    "failed": ("pywa__message_status__failed", "metadoc__status__3"),
}
ANY_OTHER = ("pywa__message_status__read",)
RECIPIENT_KEYS = (
    "recipient_id",
    "recipient_user_id",
    "recipient_parent_user_id",
    "parent_user_id",
    "parent_recipient_user_id",
)
# Meta changed the key of the parent id twice in four months.
PARENT_KEYS = ("recipient_parent_user_id", "parent_user_id", "parent_recipient_user_id")
CODES = (131026, 131049, 131047, 130472, 131050, 132015, 131000, 470, 130501, 139999, 140000)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that Meta accepted, with what webhooks about it need."""

    number: BusinessNumber
    person: Person
    message_id: str
    accepted_s: int
    category: str
    pricing_shape: int

    def spelt(self, rng: Random) -> str:
        """Return its id, at times as Meta writes it with another peer."""
        if rng.random() < 0.7:
            return self.message_id
        peers = (self.person.wa_id, self.person.user_id or self.person.wa_id)
        return spelt_anew(rng, self.message_id, peers)


def put_number(body: Json, number: BusinessNumber) -> None:
    """Set the business number of a sample body."""
    body["entry"][0]["id"] = number.waba_id
    value_of(body)["metadata"] = {
        "display_phone_number": number.display_phone_number,
        "phone_number_id": number.phone_number_id,
    }


def contact_entry(rng: Random, person: Person) -> Json:
    """Return an item of `contacts[]`; as in real traffic, it often has no profile."""
    entry: Json = {} if rng.random() < 0.5 else {"profile": {"name": "Test Näme"}}
    if not person.hides_phone:
        entry["wa_id"] = person.wa_id
    entry["user_id"] = person.user_id
    if person.parent_user_id and rng.random() < 0.5:
        entry["parent_user_id"] = person.parent_user_id
    return entry


def shown(rng: Random, person: Person) -> Person:
    """Return whom webhooks show in place of a customer: of a group one of its members."""
    return member(rng, person) if person.kind == "group" else person


def _address(rng: Random, status: Json, person: Person) -> None:
    for key in RECIPIENT_KEYS:
        status.pop(key, None)
    if person.kind == "group":
        status |= {"recipient_id": person.wa_id, "recipient_type": "group"}
        status |= _participant(rng, shown(rng, person))
        return
    if not person.hides_phone:
        status["recipient_id"] = person.wa_id
    if person.hides_phone or (status["status"] != "failed" and rng.random() < 0.5):
        status["recipient_user_id"] = person.user_id
        if person.parent_user_id:
            status[rng.choice(PARENT_KEYS)] = person.parent_user_id


def _participant(rng: Random, someone: Person) -> Json:
    """Return how a status of a group names the participant whom it is about."""
    phone = {rng.choice(("recipient_participant_id", "participant_recipient_id")): someone.wa_id}
    return phone if rng.random() < 0.5 else {**phone, "recipient_participant_user_id": someone.user_id}


def pricing(sent: Sent, status: str) -> Json | None:
    """Return the pricing object of a status; its shape depends on the message, so equal statuses agree."""
    if status not in ("sent", "delivered", "read") or sent.pricing_shape == 0:
        return None
    usual = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": sent.category}
    unusual: dict[int, Json] = {
        1: {"billable": True, "pricing_model": "CBP", "category": "business_initiated"},
        2: {**usual, "type": "free_entry_point" if status == "sent" else "regular"},
        3: {**usual, "type": "a_type_of_next_year"},
        4: {"billable": False, "pricing_model": "PMP", "type": "free_customer_service"},
    }
    return unusual.get(sent.pricing_shape, None if status == "read" else usual)


def _errors(rng: Random, errors: list[Json]) -> list[Json]:
    code = rng.choice(CODES)
    shape = rng.randrange(10)
    if shape == 0:
        return []
    if shape == 1:  # before v16
        return [{"code": code, "title": "Message undeliverable"}]
    if shape == 2:
        return [
            {"code": 131000, "title": "Something went wrong"},
            {"code": 130429, "title": "Rate limit hit"},
        ]
    return [{**errors[0], "code": code}]


def status_body(rng: Random, sent: Sent, status: str, at_s: int) -> Json:
    """Return a webhook body with one status of one message; `at_s` is in unix seconds."""
    body = sample(rng.choice(BODIES.get(status, ANY_OTHER)))
    put_number(body, sent.number)
    value = value_of(body)
    item: Json = value["statuses"][0]
    item |= {"id": sent.spelt(rng), "status": status, "timestamp": at_s if rng.random() < 0.1 else str(at_s)}
    _address(rng, item, sent.person)
    item.pop("pricing", None)
    charged = pricing(sent, status)
    if sent.person.kind == "group":  # which has its price in the conversation
        item["conversation"] = {"id": "c1"} | ({"pricing": charged} if charged else {})
    elif charged:
        item["pricing"] = charged
    value.pop("contacts", None)
    if status == "failed":
        item["errors"] = _errors(rng, item["errors"])
        if not item["errors"]:
            del item["errors"]
    elif rng.random() < 0.6:
        value["contacts"] = [contact_entry(rng, shown(rng, sent.person))]
    if rng.random() < 0.1:
        item["type"] = "message"
    if rng.random() < 0.02:
        value["statuses"].append(_payment_status(rng, item))
    return body


def _payment_status(rng: Random, status: Json) -> Json:
    """Return a status of a payment, which names the message that asked for it."""
    payment = {
        "reference_id": "order-1",
        "transaction": {"id": "tx-1", "type": "razorpay", "status": "failed"},
    }
    return {
        "id": status["id"],
        "status": rng.choice(("captured", "failed", "pending")),
        "timestamp": status["timestamp"],
        "type": "payment",
        "payment": payment,
    }


def group_status_body(rng: Random, sent: Sent, participant: Person, at_s: int) -> Json:
    """Return a read receipt of one participant of a group, who is not the message's recipient."""
    body = sample("pywa__message_status__group")
    put_number(body, sent.number)
    value = value_of(body)
    value["contacts"] = [contact_entry(rng, participant)]
    item: Json = value["statuses"][0]
    item |= {"id": sent.message_id, "timestamp": str(at_s), "recipient_id": f"{sent.message_id[-24:]}@g.us"}
    for key in ("recipient_participant_id", "recipient_participant_user_id"):
        del item[key]
    item |= _participant(rng, participant)
    del item["recipient_participant_parent_user_id"]
    return body


def call_status_body(sent: Sent, at_s: int, field: str) -> Json:
    """Return a status of a call; it is never a message's, whatever its id and its place in the webhook."""
    body = sample("pywa__call_status__call_status")
    put_number(body, sent.number)
    body["entry"][0]["changes"][0]["field"] = field
    value_of(body)["statuses"][0] |= {"id": sent.message_id, "timestamp": str(at_s), "status": "delivered"}
    return body


def echo_body(rng: Random, sent: Sent) -> Json:
    """Return the echo of a message that somebody sent from the app on the business's phone."""
    body = sample("pywa__outgoing_message__text")
    put_number(body, sent.number)
    value, person = value_of(body), sent.person
    value["contacts"] = [contact_entry(rng, shown(rng, person))]
    item: Json = value["message_echoes"][0]
    for key in ("to", "to_user_id", "to_parent_user_id"):
        del item[key]
    if person.hides_phone or (person.user_id and rng.random() < 0.5):
        item["to_user_id"] = person.user_id
    if not person.hides_phone:
        item["to"] = person.wa_id
    item |= {
        "from": sent.number.display_phone_number,
        "id": sent.spelt(rng),
        "timestamp": str(sent.accepted_s),
    }
    return body
