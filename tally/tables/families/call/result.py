"""The result of one attempt of a call: its customer's leg, its operators, and how it ended."""

from msgspec import Struct

from tally.tables.families.call.attempts import Attempt
from tally.tables.families.call.bridged import ConnectedSpans, connected_by
from tally.tables.families.call.dial_graph import Graph, customers, customers_leg
from tally.tables.families.call.state import Channel

Outcome = str

CANCELLED = "call_cancelled"
TAKEN_BACK = ("CANCEL", "ABORT")
"""DialStatus of a dial that our own side gave up."""
BY_CAUSE = {
    17: "busy",
    21: "rejected",
    **dict.fromkeys((1, 3, 20, 22, 28), "unreachable"),
    **dict.fromkeys((34, 38, 42), "congestion"),
    **dict.fromkeys((18, 19), "no_answer"),
}
"""Outcomes by Q.850 cause; an unlisted cause decides nothing."""
BY_DIAL_STATUS = {
    "BUSY": "busy",
    "NOANSWER": "no_answer",
    **dict.fromkeys(TAKEN_BACK, CANCELLED),
    "CONGESTION": "congestion",
    "CHANUNAVAIL": "unreachable",
}
ANSWERED, NO_ANSWER, BUSY, CONGESTION, OTHER = 4, 3, 5, 8, 0
"""Values of OriginateResponse's Reason."""
BY_REASON = {NO_ANSWER: "no_answer", BUSY: "busy", CONGESTION: "congestion"}
FAILED = "call_failed"
SAME_MOMENT_US = 1_000


def unanswered(leg: Channel, reason: int | None, root_is_local: bool | None) -> Outcome:
    """Return the outcome of a customer's leg that hung up and never came up.

    The cause takes precedence over DialStatus, which distinguishes fewer outcomes, and who hung up first over
    both: a dialler takes its call back with any cause. `reason` is that of the OriginateResponse, None if
    unknown; it says nothing about a second leg, and is 0 for every failure behind a Local channel.
    `root_is_local` says whether there is such a channel; it is None of a second leg.
    """
    if root_is_local is False and _we_hung_up(leg, reason):
        return CANCELLED
    status = leg.dial_end.status if leg.dial_end else ""
    if status in TAKEN_BACK and reason != NO_ANSWER and not _far_side_asked(leg):
        return CANCELLED
    if found := outcome_of_cause(leg):
        return found
    if reason == NO_ANSWER:
        return "no_answer"
    return BY_DIAL_STATUS.get(status) or BY_REASON.get(reason or OTHER, FAILED)


def outcome_of_cause(leg: Channel) -> Outcome | None:
    """Return the outcome that the cause of a leg's hang-up names; None for an unlisted cause."""
    return BY_CAUSE.get(leg.hangup.cause) if leg.hangup else None


def _we_hung_up(leg: Channel, reason: int | None) -> bool:
    """Return whether our side hung up a leg that an Originate dialled itself, before the far side asked to.

    Reason 0 tells it from the far side's busy or congestion, which end the dial before they ask. Without any
    request only ringing and an unlisted cause do. Where no OriginateResponse is to come, our own request and
    DialStatus NOANSWER do: an Originate that timed out ends no dial.
    """
    if _far_side_asked(leg):
        return False
    if reason == OTHER:
        return leg.request is not None or (leg.rang and outcome_of_cause(leg) is None)
    is_ours = leg.request is not None and not leg.request.cause and not leg.callers
    return reason is None and is_ours and leg.dial_end is not None and leg.dial_end.status == "NOANSWER"


def _far_side_asked(leg: Channel) -> bool:
    """Return whether the far side requested a hang-up before the dial ended.

    Our own hang-up also makes a HangupRequest. It has no cause, and comes within microseconds of the dial's
    end, before or after it; one that has a cause comes after it.
    """
    if leg.request is None:
        return False
    asked_us = leg.request.at_us + (0 if leg.request.cause else SAME_MOMENT_US)
    return asked_us < min(end.at_us for end in (leg.dial_end, leg.hangup) if end)


def by_reason(reason: int | None) -> Outcome:
    """Return the outcome if only the OriginateResponse is known, and nothing of the customer's leg."""
    return BY_REASON.get(reason or OTHER, FAILED)


class CallResult(Struct, frozen=True):
    """What became of one attempt."""

    attempt: Attempt
    own: set[str]
    """The attempt's first channel, the customer's legs, and the Local channels between."""
    leg: str | None
    """The customer's leg; None if unknown."""
    up_us: int | None
    is_answered: bool
    outcome: str | None
    """The outcome of an attempt that ended unanswered; None before, if answered, or if its end is unknown."""
    is_lost: bool
    """Whether its end was not observed."""
    connected: ConnectedSpans
    """The spans in which each other channel was connected with the customer's leg."""
    operators: list[str]
    """The operators' legs, which are the keys of `connected`, sorted."""


def results_of(graph: Graph, attempts: list[Attempt]) -> list[CallResult]:
    """Return the results of all attempts of a call."""
    legs = [_legs(graph, attempt) for attempt in attempts]
    mains = [customers_leg(graph.channels, dialled) for dialled, _ in legs]
    up = {leg for leg in mains if leg is not None and graph.channels[leg].up_us is not None}
    connected = connected_by(graph, up, {leg for dialled, _ in legs for leg in dialled})
    return [
        _result(graph, attempt, dialled, own, leg, connected.get(leg or "", {}))
        for attempt, (dialled, own), leg in zip(attempts, legs, mains, strict=True)
    ]


def _result(
    graph: Graph, attempt: Attempt, legs: list[str], own: set[str], leg: str | None, connected: ConnectedSpans
) -> CallResult:
    channel = graph.channels[leg] if leg else None
    up_us = channel.up_us if channel else None
    reason = None if attempt.customer_is_second_leg or attempt.response is None else attempt.response.reason
    is_answered = up_us is not None or (reason == ANSWERED and _is_all_we_know(graph, attempt, leg))
    return CallResult(
        attempt,
        own,
        leg,
        up_us,
        is_answered,
        None if is_answered else _outcome(graph, attempt, legs, channel, reason),
        _is_lost(graph, attempt, channel),
        connected,
        sorted(connected),
    )


def _is_all_we_know(graph: Graph, attempt: Attempt, leg: str | None) -> bool:
    """Return whether the OriginateResponse is the only information about the customer's leg.

    Behind a Local channel it describes the dialplan, which may answer before it dials.
    """
    if leg is not None or attempt.root is None:
        return leg == attempt.root
    root = graph.channels[attempt.root]
    return root.is_over or not root.is_local


def _legs(graph: Graph, attempt: Attempt) -> tuple[list[str], set[str]]:
    if attempt.root is None:
        return [], set()
    legs, own = (
        graph.second_legs(attempt.root) if attempt.customer_is_second_leg else graph.legs(attempt.root)
    )
    return customers(graph.channels, legs), own


def _outcome(
    graph: Graph, attempt: Attempt, legs: list[str], channel: Channel | None, reason: int | None
) -> str | None:
    """Return the outcome of an attempt that was not answered; None while it may still be answered."""
    if attempt.root is None:
        failed = attempt.response is not None and attempt.response.reason != ANSWERED
        return by_reason(reason) if failed else None
    root = graph.channels[attempt.root]
    if not root.is_over or any(not graph.channels[leg].is_over for leg in legs):
        return None
    if channel is None:
        return None if root.vanished else by_reason(reason)
    if channel.vanished or (_is_awaited(attempt) and outcome_of_cause(channel) is None):
        return None
    return unanswered(channel, reason, None if attempt.customer_is_second_leg else root.is_local)


def _is_awaited(attempt: Attempt) -> bool:
    """Return whether an OriginateResponse is still to come that may say how the attempt ended."""
    return attempt.has_action_id and attempt.response is None and not attempt.customer_is_second_leg


def _is_lost(graph: Graph, attempt: Attempt, channel: Channel | None) -> bool:
    if channel is None and attempt.root is not None:
        channel = graph.channels[attempt.root]
    return channel is not None and channel.vanished


def was_attempted(result: CallResult) -> bool:
    """Return whether the PBX shows a dial towards the customer."""
    if result.leg is not None:
        return True
    response = result.attempt.response
    return response is not None and not result.attempt.customer_is_second_leg and response.reason != OTHER
