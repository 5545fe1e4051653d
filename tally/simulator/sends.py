"""Send results, as the producer of a campaign publishes them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

from tally.simulator.population import BusinessNumber, Campaign, Person, Template
from tally.simulator.records import Json

FAILURES: tuple[Json, ...] = (
    {"source": "meta", "code": 132000, "message": "(#132000) Number of parameters does not match"},
    {"source": "meta", "code": 130429},
    {"source": "meta", "code": "132001"},
    {"source": "meta", "code": 999},
    {"source": "platform", "code": "no_credit"},
)
REASONS = ("opted_out", "quiet_hours", "duplicate_contact")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to reach one contact, before its outcome."""

    campaign: Campaign
    contact: str | int
    person: Person
    number: BusinessNumber
    template: Template | None
    attempt: int | str
    start_ms: int


def written_time(rng: Random, at_ms: int) -> int | str:
    """Return a moment as unix ms, or as RFC 3339 in a random zone."""
    if rng.random() < 0.7:
        return at_ms
    zone = rng.choice([UTC, timezone(timedelta(hours=-3)), timezone(timedelta(hours=5, minutes=45))])
    moment = datetime.fromtimestamp(at_ms // 1000, zone) + timedelta(milliseconds=at_ms % 1000)
    text = moment.isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _written_id(rng: Random, value: str | int | None) -> str | int | None:
    if isinstance(value, int):
        return value if rng.random() < 0.7 else str(value)
    if value is not None and len(value) == 36 and rng.random() < 0.2:
        return value.upper()
    return value


def _contact(rng: Random, attempt: Attempt, is_accepted: bool) -> Json:
    contact: Json = {"id": _written_id(rng, attempt.contact)}
    person = attempt.person
    if person.kind == "scoped_only":
        contact["user_id"] = person.user_id
    else:
        if is_accepted or rng.random() < 0.5:
            contact["phone"] = person.dialled
        if is_accepted and rng.random() < 0.5:
            contact["wa_id"] = person.wa_id
    if is_accepted and (filled_in := attempt.campaign.filled_in) is not None:
        name, value = filled_in
        contact[name] = value if name == "phone" else contact.get(name, value)
    return contact


def _template(rng: Random, template: Template) -> Json:
    language = template.language.replace("-", "_")
    written: Json = {
        "name": template.name,
        "language": language if rng.random() < 0.7 else language.replace("_", "-"),
    }
    if rng.random() < 0.3:
        written["id"] = 1689556908129832
    return written


def result(rng: Random, attempt: Attempt, outcome: str, at_ms: int, **more: Any) -> Json:
    """Return one send result of an attempt; `more` are further fields of the contract."""
    campaign = attempt.campaign
    written: Json = {
        "tenant": _written_id(rng, campaign.tenant),
        "channel": "whatsapp",
        "campaign": _written_id(rng, campaign.campaign),
        "contact": _contact(rng, attempt, outcome == "accepted"),
        "phone_number_id": attempt.number.phone_number_id,
        "outcome": outcome,
        "time": written_time(rng, at_ms),
        **more,
    }
    if attempt.attempt != 1 or rng.random() < 0.5:
        written["attempt"] = attempt.attempt
    if attempt.template:
        written["template"] = _template(rng, attempt.template)
    elif rng.random() < 0.5:
        written["template"] = None
    if rng.random() < 0.2:
        written["v"] = 1
    if rng.random() < 0.1:
        written["trace_id"] = "not-in-the-contract"
    return written
