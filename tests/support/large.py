"""Shapes of large states: numbered facts that each add something to the same subject.

Each family has one shape for every part of its state that grows, and at least one. The laws of cost
(tests/contract/test_costs.py) hold for all shapes, so a new family must add its own here.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from msgspec import Struct

from tally.schemas.call_facts import ChannelSnapshot, ChannelsSeen, Dialled, Kind, MemberSeen, Originated
from tally.schemas.descriptions import Described
from tally.schemas.facts import (
    AttemptResult,
    Claim,
    Claimed,
    CustomerSeen,
    Inbound,
    Pricing,
    Send,
    StatusSeen,
)
from tally.schemas.keys import Template
from tally.tables.families.family import ConnectedFamily, Family
from tally.tables.families.registry import FAMILIES

PROMO = Template("promo", "pt_BR")
AT_S = 1_795_000_000
AT_MS = AT_S * 1_000
AT_US = AT_MS * 1_000


class Shape(Struct, frozen=True):
    """One way in which a family's state grows."""

    name: str
    fact: Callable[[int], Any]
    """The nth fact."""
    size: int = 400
    """Number of facts at which growth shows: twice as many may cost about twice as much."""


def _digest(nth: int) -> bytes:
    return nth.to_bytes(12, "big")


def _claim(nth: int) -> Claim:
    return Claim(AT_MS + nth, "t1", "c1", str(nth), "1", PROMO)


def _status(nth: int) -> StatusSeen:
    status = ("sent", "delivered", "read", "failed")[nth % 4]
    return StatusSeen(status, AT_S + nth, "meta:131026", Pricing(nth % 4, AT_S + nth, "marketing", "regular"))


def _message_of_one_attempt(nth: int) -> AttemptResult:
    return AttemptResult("whatsapp", "1", "accepted", AT_MS + nth, PROMO, message=_digest(nth))


def _attempt(nth: int) -> AttemptResult:
    return AttemptResult("whatsapp", str(nth), "accepted", AT_MS + nth, PROMO, message=_digest(nth))


def _send(nth: int) -> CustomerSeen:
    return CustomerSeen([b"w" + _digest(nth), b"p1"], send=Send(_digest(nth), _claim(nth)))


def _campaign_and_reply(nth: int) -> CustomerSeen:
    claim = Claim(AT_MS + nth, "t1", f"c{nth}", "8", "1", PROMO)
    return CustomerSeen(
        [b"w" + _digest(nth), b"p1"], Send(_digest(nth), claim), Inbound(_digest(nth), AT_S + nth)
    )


def _phone(nth: int) -> CustomerSeen:
    return CustomerSeen([b"p%d" % nth, b"u0"])


def _seen(nth: int, kind: Kind, *snapshots: ChannelSnapshot, detail: str = "") -> ChannelsSeen:
    return ChannelsSeen(AT_US + nth, kind, list(snapshots), detail)


def _snapshot(nth: int, **variables: str) -> ChannelSnapshot:
    return ChannelSnapshot(f"u{nth}", "u0", f"PJSIP/trunk-{nth:08x}", 6, variables)  # type: ignore[arg-type]


def _held(nth: int) -> ChannelsSeen:
    return _seen(nth, "unhold" if nth % 2 else "hold", _snapshot(0))


def _bridged(nth: int) -> ChannelsSeen:
    kind: Kind = "leave" if nth % 2 else "enter"
    return _seen(nth, kind, _snapshot(nth // 2 % 2), detail=f"bridge-{nth // 4}")


def _served(nth: int) -> ChannelsSeen:
    """Return a customer who enters and leaves an operator's bridges through a Local channel's halves."""
    customer = ChannelSnapshot(
        "u0", "u0", "PJSIP/trunk-0", 6, {"campaign": "c1", "contact": "8", "tenant": "t1"}
    )
    first = ChannelSnapshot("l1", "u0", "Local/9@d-0;1", 6, {})
    second = ChannelSnapshot("l2", "u0", "Local/9@d-0;2", 6, {})
    operator = ChannelSnapshot("u1", "u0", "PJSIP/201-1", 6, {})
    who, where = ((customer, "near"), (first, "near"), (second, "far"), (operator, "far"))[nth // 2 % 4]
    return _seen(nth, "leave" if nth % 2 else "enter", who, detail=f"{where}-{nth // 8}")


def _next_dialled(nth: int) -> ChannelsSeen:
    variables = {} if nth else {"campaign": "c1", "contact": "8", "tenant": "t1"}
    return _seen(nth, "dial", _snapshot(nth, **variables), _snapshot(nth + 1))


def _of_one_contact(nth: int) -> ChannelsSeen | Dialled:
    if nth % 2:
        ids = [("action_id", f"a{nth // 2}")]
        return Dialled("t1", "c1", "0", str(nth // 2), "requested", AT_MS + nth, PROMO, ids, False)
    return _seen(nth, "seen", _snapshot(nth // 2, campaign="c1", contact="0"))


def _originated(nth: int) -> Originated:
    return Originated(AT_US + nth, "a1", f"u{nth}", 4)


def _queue(nth: int) -> MemberSeen:
    return MemberSeen("PJSIP/201", f"q{nth}", AT_US + nth, "t1", "Ann", 1, False, "", False, AT_S, 10, False)


def _described(nth: int) -> Described:
    return Described(
        AT_MS + nth, {"name": [f"name={nth}"], "tags": [f"tag={nth + tag}" for tag in range(32)]}
    )


SHAPES: dict[str, tuple[Shape, ...]] = {
    "messages": (Shape("statuses", _status), Shape("claims", lambda nth: Claimed(_claim(nth)))),
    "recipients": (
        Shape("messages of one attempt", _message_of_one_attempt),
        Shape("attempts", _attempt, size=140),
    ),
    "customers": (
        Shape("sends", _send),
        Shape("campaigns and replies", _campaign_and_reply, size=200),
        Shape("phones of one user id", _phone),
    ),
    "calls": (
        Shape("moments of one channel", _held),
        Shape("bridges", _bridged),
        Shape("bridges of a Local", _served, size=100),
        Shape("channels that dial each other", _next_dialled, size=100),
        Shape("calls of one contact", _of_one_contact, size=100),
        Shape("channels of one action", _originated, size=100),
    ),
    "operators": (Shape("queues", _queue, size=60),),
    "descriptions": (Shape("sayings", _described),),
}
"""Shapes by table."""


def _shapes_of(families: Iterable[Family[Any, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("family", "shape"),
        [
            pytest.param(family, shape, id=f"{family.table}: {shape.name}")
            for family in families
            for shape in SHAPES.get(family.table, ())
        ],
    )


every_shape = _shapes_of(FAMILIES)
every_connected_shape = _shapes_of(family for family in FAMILIES if isinstance(family, ConnectedFamily))
