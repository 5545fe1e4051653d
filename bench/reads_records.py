"""The events of the read benchmark as raw records, made from the simulator's real bodies."""

from functools import cache
from random import Random

from bench.reads_events import DAY_S, START_S, TENANT, Events, Reply, Send, Status
from tally.simulator.population import BusinessNumber, Campaign, Person, Template
from tally.simulator.records import (
    SEND_RESULTS,
    WEBHOOK_EVENTS,
    RawRecord,
    as_meta_writes,
    as_producers_write,
)
from tally.simulator.replies import Inbound, inbound_body
from tally.simulator.sends import FAILURES, Attempt, result
from tally.simulator.statuses import Sent, status_body

REPLY_BODY = "pywa__message__text"
PRICING_SHAPES = 12


def records(rng: Random, events: Events) -> list[RawRecord]:
    """Return a raw record for each event, in the order in which they would arrive."""
    timed = [
        *((send.at_s, _send_result(rng, send)) for send in events.sends),
        *((status.logged_s, _status(rng, status)) for status in events.statuses),
        # Spread over the day like the others: sorted by their own times they would come last.
        *((START_S + reply.at_s % DAY_S, _reply(rng, reply)) for reply in events.replies),
    ]
    return [record for _, record in sorted(timed, key=lambda one: one[0])]


def _send_result(rng: Random, send: Send) -> RawRecord:
    template = Template(*send.template, "marketing")
    person, number = _person(send.phone), _number(send.number)
    start_ms = send.at_s * 1000
    attempt = Attempt(_campaign(send.campaign), f"contact-{send.nth}", person, number, template, 1, start_ms)
    if send.message_id is None:
        written = result(rng, attempt, "failed", start_ms, error=FAILURES[0])
    else:
        written = result(rng, attempt, "accepted", start_ms, message_id=send.message_id)
    return RawRecord(SEND_RESULTS, None, as_producers_write(written))


def _status(rng: Random, status: Status) -> RawRecord:
    send = status.send
    assert send.message_id is not None
    sent = Sent(
        _number(send.number),
        _person(send.phone),
        send.message_id,
        send.at_s,
        "marketing",
        send.nth % PRICING_SHAPES,
    )
    return RawRecord(WEBHOOK_EVENTS, None, as_meta_writes(status_body(rng, sent, status.status, status.at_s)))


def _reply(rng: Random, reply: Reply) -> RawRecord:
    said = Inbound(_number(reply.number), _person(reply.phone), f"wamid.reply-{reply.nth}", reply.at_s)
    return RawRecord(WEBHOOK_EVENTS, None, as_meta_writes(inbound_body(rng, said, REPLY_BODY)))


@cache
def _campaign(name: str) -> Campaign:
    return Campaign(TENANT, name, (), (), START_S, ())


@cache
def _number(number: str) -> BusinessNumber:
    return BusinessNumber("102290129340", number, number[-11:])


def _person(phone: str) -> Person:
    user_id = f"BR.1{phone}"
    return Person("plain", f"+{phone}", phone, user_id, None, later_wa_id=phone, later_user_id=user_id)
