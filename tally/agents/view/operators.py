"""Operators as JSON objects: their present state and what they have done. Pure."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

import orjson

from tally.agents.view.answer import Json, rfc_3339
from tally.agents.view.operator_rows import Operator, Shown
from tally.schemas.fields import MAX_SECONDS
from tally.schemas.operator_row import Membership

State = Literal["unavailable", "in_call", "ringing", "paused", "wrap_up", "available"]
STATES: tuple[State, ...] = get_args(State)

# Asterisk's device states (include/asterisk/devicestate.h).
UNREACHABLE = frozenset({4, 5})
ENGAGED = frozenset({2, 3, 7, 8})
RINGING = 6

FOR_EVER_MS = 1 << 62
KEPT_MOMENTS = 1024


def show(operator: Operator, now_ms: int) -> Shown:
    """Return an operator's entry in an answer, and the time until which it holds if no row changes."""
    answer = operator_answer(operator, now_ms)
    ends = (_wrapped_up_ms(one) for one in operator.memberships)
    until_ms = min((end_ms for end_ms in ends if end_ms > now_ms), default=FOR_EVER_MS)
    return Shown(answer["state"], orjson.dumps(answer), now_ms, until_ms)


def state_of(memberships: Sequence[Membership], now_ms: int) -> tuple[State, Sequence[Membership]]:
    """Return the state of an operator with these memberships, and the memberships that show it."""
    if all(one.status in UNREACHABLE for one in memberships):
        return "unavailable", memberships
    if engaged := [one for one in memberships if one.in_call or one.status in ENGAGED]:
        return "in_call", engaged
    if ringing := [one for one in memberships if one.status == RINGING]:
        return "ringing", ringing
    if all(one.reason is not None for one in memberships):
        return "paused", memberships
    if wrapping := [one for one in memberships if now_ms < _wrapped_up_ms(one)]:
        return "wrap_up", wrapping
    return "available", memberships


def _state_of_operator(operator: Operator, now_ms: int) -> tuple[State, Sequence[Membership]]:
    """Return an operator's state, from its memberships and its legs in calls.

    A PBX that does not watch phones never reports its members as in a call or ringing: legs show it then.
    """
    state, showing = state_of(operator.memberships, now_ms)
    if operator.legs_in_call and state != "in_call":
        return "in_call", ()
    if operator.legs_ringing and state not in ("in_call", "ringing"):
        return "ringing", ()
    return state, showing


def operator_answer(operator: Operator, now_ms: int) -> Json:
    """Return an operator's state, its queues and its counts at `now_ms`."""
    state, showing = _state_of_operator(operator, now_ms)
    return {
        "pbx": operator.pbx,
        "operator": operator.interface,
        "name": operator.name,
        "state": state,
        "reason": max(showing, key=_since_ms).reason or None if state == "paused" else None,
        "since": _since(state, showing),
        "queues": [_queue_answer(membership, now_ms) for membership in operator.memberships],
        "counts": operator.counts,
    }


def _queue_answer(membership: Membership, now_ms: int) -> Json:
    state, showing = state_of((membership,), now_ms)
    return {
        "queue": membership.queue,
        "state": state,
        "paused": membership.reason is not None,
        "reason": membership.reason or None,
        "since": _since(state, showing),
    }


def _since(state: State, showing: Sequence[Membership]) -> str | None:
    """Return the time since which a state holds, the latest that memberships give; None without one."""
    if state == "wrap_up":
        times = [one.last_call_s * 1000 for one in showing]
    elif state == "available":
        # A wrap-up ends by the clock: the PBX sends no event then.
        times = [max(one.since_ms, _wrapped_up_ms(one)) for one in showing]
    else:
        times = [one.since_ms for one in showing]
    return _moment(max(times, default=0))


@lru_cache(KEPT_MOMENTS)
def _moment(at_ms: int) -> str | None:
    """Return a time as answers show it, from a cache: the queues of an operator mostly share theirs."""
    return rfc_3339(at_ms) if 0 < at_ms <= MAX_SECONDS * 1000 else None


def _since_ms(membership: Membership) -> int:
    return membership.since_ms


def _wrapped_up_ms(membership: Membership) -> int:
    """Return when the wrap-up of the last call is over; 0 where the queue has no wrap-up."""
    return (membership.last_call_s + membership.wrapup_s) * 1000 if membership.wrapup_s else 0
