"""One live campaign: sends at a steady rate, each soon followed by its webhooks."""

from dataclasses import dataclass
from random import Random

from tally.simulator.batching import posts
from tally.simulator.campaign import send_result, webhook
from tally.simulator.journeys import Script
from tally.simulator.population import Size, tenant
from tally.simulator.records import RawRecord

TENANT = 4
"""A tenant without any other demo campaign."""
SENDS = 678
PER_SECOND = 80.0
"""Meta's default limit of a business number: 80 messages a second."""
STEP_S = 0.4
"""The time between two events of one contact, so that a demo shows statuses which really take hours."""
SENT = frozenset({"accepted", "failed"})


@dataclass(frozen=True, slots=True)
class Due:
    """A record, the time to publish it, and whether it reports a send."""

    at_s: float
    """Seconds after the campaign's start."""
    record: RawRecord
    is_send: bool


def live(rng: Random, start_s: int, sends: int = SENDS, per_second: float = PER_SECOND) -> list[Due]:
    """Return the records of one campaign of `sends` sends, in the order in which they are due.

    `start_s` is the unix second at which the campaign's own times begin, as in `campaign`.
    """
    size = Size(campaigns_per_tenant=1, contacts_per_campaign=2 * sends, filled_in_share=0.0)
    whose = tenant(rng, TENANT, start_s, size)
    one = whose.campaigns[0]
    due: list[Due] = []
    sent = 0
    for contact, person in one.recipients:
        if sent == sends:
            break
        script = Script(rng)
        script.play_contact(one, contact, person)
        accepted = sum(result["outcome"] in SENT for _, result in script.results)
        if sent + accepted > sends:
            continue
        timed = [
            (at_s, send_result(rng, result), result["outcome"] in SENT) for at_s, result in script.results
        ]
        for at_s, body in posts(rng, sorted(script.updates, key=lambda update: update[0]), bad_share=0.0):
            timed.append((at_s, webhook(rng, whose, body), False))
        timed.sort(key=lambda event: event[0])
        begins_s = sent / per_second
        for nth, (_, record, is_send) in enumerate(timed):
            due.append(Due(sent / per_second if is_send else begins_s + nth * STEP_S, record, is_send))
            sent += is_send
    return sorted(due, key=lambda one: one.at_s)
