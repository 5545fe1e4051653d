"""How an attempt ended: one outcome, from the customer's leg (docs/counters.md)."""

from tally.tables.families.call.state import Channel

Outcome = str

BY_CAUSE = {
    17: "busy",
    21: "rejected",
    **dict.fromkeys((1, 3, 20, 22, 28), "unreachable"),
    **dict.fromkeys((34, 38, 42), "congestion"),
    **dict.fromkeys((18, 19), "no_answer"),
}
"""Causes of Q.850; those that are not listed decide nothing."""
BY_DIAL_STATUS = {
    "BUSY": "busy",
    "NOANSWER": "no_answer",
    "CANCEL": "call_cancelled",
    "ABORT": "call_cancelled",
    "CONGESTION": "congestion",
    "CHANUNAVAIL": "unreachable",
}
ANSWERED, NO_ANSWER, BUSY, CONGESTION, OTHER = 4, 3, 5, 8, 0
"""OriginateResponse's Reason."""
BY_REASON = {NO_ANSWER: "no_answer", BUSY: "busy", CONGESTION: "congestion"}
FAILED = "call_failed"
SAME_MOMENT_US = 1_000


def unanswered(leg: Channel, reason: int | None, root_is_local: bool) -> Outcome:
    """Return the outcome of a customer's leg that has hung up and never came up.

    The cause goes before DialStatus, which knows fewer. `reason` is that of the OriginateResponse; it says
    nothing of a second leg, and says 0 of every failure behind a Local channel.
    """
    cause = leg.hangup[1] if leg.hangup else 0
    if found := BY_CAUSE.get(cause):
        return found
    if reason == NO_ANSWER:
        return "no_answer"
    if cause == 0 and reason == OTHER and not root_is_local and _we_gave_up(leg):
        return "call_cancelled"
    status = leg.dial_end[1] if leg.dial_end else ""
    return BY_DIAL_STATUS.get(status) or BY_REASON.get(reason or OTHER, FAILED)


def _we_gave_up(leg: Channel) -> bool:
    """Return whether it rang, and the far side had not asked to hang up before the dial ended.

    Our own hanging up asks too, without a cause, within microseconds of the dial's end and in any order.
    """
    if leg.request is None or not leg.rang:
        return leg.rang
    asked_us = leg.request[0] + (0 if leg.request[1] else SAME_MOMENT_US)
    return asked_us >= min(at[0] for at in (leg.dial_end, leg.hangup) if at)


def by_reason(reason: int | None) -> Outcome:
    """Return the outcome where nothing of the customer's leg is known but the OriginateResponse."""
    return BY_REASON.get(reason or OTHER, FAILED)
