"""The counter registry: every counter declared once, with its grains and the channels that it concerns.

Rules of families, the columns of Postgres, the answers of the read API, the docs and the laws read it. A
family and the independent recount in SQL spell out what a counter means, and name it by hand.
"""

from collections.abc import Iterable
from functools import cache

from tally.schemas.counter import BOTH, NEITHER, VOICE, WHATSAPP, Channels, Counter, Derived, Rate
from tally.schemas.facts import Channel
from tally.schemas.grains import CAMPAIGN, OPERATOR, TEMPLATE, Grain

DISTINCT = (TEMPLATE, CAMPAIGN)
"""Of distinct customers, who are counted once for each template and once for the campaign."""
CALLS_AND_OPERATORS = (TEMPLATE, OPERATOR)
LIVE = (OPERATOR,)
SAID = (CAMPAIGN,)
"""Of what is said of a campaign, which is no number."""

COUNTERS: tuple[Counter, ...] = (
    Counter("contacts", "recipient", "distinct contacts of the campaign"),
    Counter("attempts", "recipient", "distinct (contact, attempt)"),
    Counter("queued", "recipient", "attempts whose only outcomes are queued or requested"),
    Counter("accepted", "message", "distinct messages that the provider took for the campaign"),
    Counter("failed_at_send", "recipient", "attempts with a failure and no acceptance"),
    Counter("skipped", "recipient", "attempts that were skipped"),
    Counter("cancelled", "recipient", "attempts that were cancelled"),
    Counter("duplicates", "recipient", "further accepted messages of one attempt"),
    Counter(
        "claimed_elsewhere", "message", "accepted messages of an attempt that count for another one's claim"
    ),
    Counter("sent", "message", "messages of which sent or any later status was seen"),
    Counter("delivered", "message", "messages of which delivered, read or played was seen"),
    Counter("delivered_implied", "message", "messages read or played without a delivered status"),
    Counter("delivered_late", "message", "of delivered, those more than 24 hours after they were accepted"),
    Counter("read", "message", "messages read or played; a lower bound, since receipts can be off"),
    Counter("read_late", "message", "of read, those more than 24 hours after they were accepted"),
    Counter("failed_after_send", "message", "accepted messages with a failed status, not delivered"),
    Counter("failed_then_delivered", "message", "messages with a failed status and a sign of delivery"),
    Counter("contacts_accepted", "customer", "distinct customers with an accepted send", grains=DISTINCT),
    Counter(
        "replied", "customer", "of contacts_accepted, those who wrote in the reply window", grains=DISTINCT
    ),
    Counter(
        "replied_last_touch",
        "customer",
        "of contacts_accepted, those with a reply whose latest send before it is of this campaign",
        grains=DISTINCT,
    ),
    Counter("replied_quoted", "message", "distinct messages that an inbound message quotes"),
    Counter(
        "clicked",
        "message",
        "distinct messages whose quick reply was pressed",
        also=("customer",),  # who knows to which message a press belongs that names none
    ),
    Counter("clicked_implied", "customer", "of clicked, those whose presses name no message"),
    Counter(
        "errors",
        "message",
        "failures by source:code of the first error; add up to failed",
        kind="map",
        also=("recipient",),  # an attempt may fail before there is a message
        only=BOTH,
    ),
    Counter("pricing", "message", "messages by category/type of their last pricing", kind="map"),
    Counter(
        "pricing_delivered",
        "message",
        "of pricing, messages that are delivered: Meta bills those",
        kind="map",
    ),
    Counter("requested", "recipient", "voice attempts that the PBX was asked for", only=VOICE),
    Counter("attempted", "call", "attempts of which the PBX shows a dial towards the customer"),
    Counter("answered", "call", "attempts whose customer's leg came up, machines and early media included"),
    Counter("busy", "call", "unanswered attempts: the customer was busy"),
    Counter("no_answer", "call", "unanswered attempts: nobody picked up in time"),
    Counter("rejected", "call", "unanswered attempts: the customer refused the call"),
    Counter("unreachable", "call", "unanswered attempts: no such number, no route, or not registered"),
    Counter("congestion", "call", "unanswered attempts: a trunk or network had no room"),
    Counter("call_cancelled", "call", "unanswered attempts: our side hung up before the far side asked to"),
    Counter("call_failed", "call", "unanswered attempts: any other reason"),
    Counter("ended_unknown", "call", "attempts whose end nobody saw: a restart or a gap"),
    Counter("answered_human", "call", "answered attempts that machine detection took for a person"),
    Counter("answered_machine", "call", "answered attempts that machine detection took for a machine"),
    Counter("answered_unknown", "call", "answered attempts of which machine detection was not sure"),
    Counter("dropped", "call", "answered by a human and meant for an operator, none within 2 s"),
    Counter("connected_ms", "call", "milliseconds from the customer's answer to the hang-up"),
    Counter(
        "talk_ms",
        "call",
        "milliseconds that operators and customers were connected",
        grains=CALLS_AND_OPERATORS,
    ),
    Counter("hold_ms", "call", "milliseconds that one side held the other"),
    Counter("queue_wait_ms", "call", "milliseconds that customers waited in queues"),
    Counter("queue_joins", "call", "times that customers joined a queue"),
    Counter("queue_abandoned", "call", "times that customers hung up in a queue"),
    Counter("queue_timeouts", "call", "times that customers left a queue in any other way"),
    Counter("queue_waiting", "call", "customers who wait in a queue at this moment"),
    Counter(
        "connects",
        "call",
        "legs of operators that were connected with a customer",
        grains=CALLS_AND_OPERATORS,
    ),
    Counter(
        "ring_no_answer", "call", "legs of operators who let a queue's call ring", grains=CALLS_AND_OPERATORS
    ),
    Counter("hangup_causes", "call", "attempts by the Q.850 cause of the customer's leg", kind="map"),
    Counter("queues", "call", "the queue counters by queue/what", kind="map"),
    Counter(
        "queue_waits",
        "call",
        "legs of operators by queue/seconds that the customer had waited since the join, in buckets",
        kind="map",
    ),
    Counter(
        "memberships",
        "operator",
        "an operator's queues at this moment, by queue/what",
        kind="map",
        grains=LIVE,
        is_live=True,
    ),
    Counter(
        "legs",
        "operator",
        "an operator's legs at this moment: in_call, ringing",
        kind="map",
        grains=LIVE,
        is_live=True,
        also=("call",),
    ),
    Counter(
        "description",
        "description",
        "what is said of the campaign: its name, status, tags, what is planned, limits; each an entry of 1",
        kind="map",
        grains=SAID,
        is_live=True,
    ),
    Counter("time_to_deliver", "message", "from accepted to the first delivered status", kind="seconds"),
    Counter("time_to_read", "message", "from accepted to the first read or played", kind="seconds"),
)

DERIVED: tuple[Derived, ...] = (
    Derived("failed", "failures at send and after it", plus=("failed_at_send", "failed_after_send")),
    Derived(
        "in_flight",
        "accepted messages with no final news yet",
        plus=("accepted",),
        minus=("delivered", "failed_after_send"),
    ),
)

RATES: tuple[Rate, ...] = (
    Rate("delivery", "delivered", "accepted", "delivered / accepted"),
    Rate("read", "read", "delivered", "read / delivered, a lower bound: receipts can be switched off"),
    Rate("reply", "replied", "contacts_accepted", "customers who replied / customers reached"),
    Rate("failure", "failed", "attempts", "failed / attempts"),
    Rate("answer", "answered", "attempted", "answered / attempted (answer-seizure ratio)"),
    Rate("drop", "dropped", "answered_human", "calls dropped / answered by a human"),
    Rate("abandon", "queue_abandoned", "queue_joins", "queue_abandoned / queue_joins"),
    Rate("click", "clicked", "delivered", "clicked / delivered"),
)

BY_NAME: dict[str, Counter] = {counter.name: counter for counter in COUNTERS}
DERIVED_BY_NAME: dict[str, Derived] = {derived.name: derived for derived in DERIVED}
PLAIN: tuple[str, ...] = tuple(c.name for c in COUNTERS if c.kind == "count")
MAPS: tuple[str, ...] = tuple(c.name for c in COUNTERS if c.kind == "map")
DISTRIBUTIONS: tuple[str, ...] = tuple(c.name for c in COUNTERS if c.kind == "seconds")

ACTIVITY: tuple[str, ...] = (
    "accepted",
    "sent",
    "delivered",
    "read",
    "failed",
    "replied",
    "clicked",
    "attempted",
    "answered",
    "dropped",
    "connects",
    "queue_abandoned",
)
"""The numbers of a campaign that are also counted by when they happened (schemas/cells.py).

Their sums over all quarter hours are the campaign's. Those of `BY_QUEUE` are by queue as well.
"""
BY_QUEUE: tuple[str, ...] = ("connects", "queue_abandoned")

API_ORDER: tuple[str, ...] = (
    *PLAIN[: PLAIN.index("contacts_accepted")],
    "failed",
    "in_flight",
    *PLAIN[PLAIN.index("contacts_accepted") :],
    *(name for name in MAPS if BY_NAME[name].grains not in (LIVE, SAID)),
    *DISTRIBUTIONS,
)
"""The order in which pages and answers list the numbers of a campaign."""


def channels_named(named: Iterable[str]) -> Channels:
    """Return the channels that a campaign's attempts went over; before any is known, WhatsApp."""
    return BOTH & frozenset(named) or WHATSAPP


def channel_of(channels: Channels) -> Channel:
    """Return the one channel by which a campaign is shown; of several, WhatsApp."""
    return "voice" if channels == VOICE else "whatsapp"


@cache
def numbers_of(channels: Channels) -> tuple[str, ...]:
    """Return the numbers that concern any of these channels, in the order of answers."""
    return tuple(name for name in API_ORDER if not channels.isdisjoint(_concerned(name)))


def counters_of(name: str) -> tuple[Counter, ...]:
    """Return the counters that a number is made of: itself, or what a derived one adds and takes off."""
    if name in BY_NAME:
        return (BY_NAME[name],)
    derived = DERIVED_BY_NAME[name]
    return tuple(BY_NAME[part] for part in (*derived.plus, *derived.minus))


@cache
def numbers_at(grain: Grain) -> tuple[str, ...]:
    """Return the numbers that the rows of a grain come to, in the order of answers."""
    return tuple(
        name for name in API_ORDER if all(counter.summed_from(grain) for counter in counters_of(name))
    )


@cache
def adds_up(name: str) -> bool:
    """Return whether a campaign's number is the sum over its templates."""
    return all(counter.summed_from(CAMPAIGN) == TEMPLATE for counter in counters_of(name))


def _concerned(name: str) -> Channels:
    """Return the channels of a counter, or of whatever a derived number adds."""
    if name in BY_NAME:
        return BY_NAME[name].channels
    return NEITHER.union(*(BY_NAME[part].channels for part in DERIVED_BY_NAME[name].plus))
