"""Plain counts of the same events by two definitions: Tally's, and that of the system that it replaces."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from bench.reads_events import DAY_S, Events, Send

REPLY_WINDOW_S = 7 * DAY_S
SENT_BY = frozenset({"sent", "delivered", "read"})
DELIVERED_BY = frozenset({"delivered", "read"})
FORMER_COLUMNS = ("total", "sent", "delivered", "read", "replied", "failed")

Counts = dict[str, int]


def campaign_counts(events: Events, campaign: str) -> Counts:
    """Return the right answer of Tally for a campaign, counted in the plainest way."""
    sends = [send for send in events.sends if send.campaign == campaign]
    accepted = [send for send in sends if send.message_id is not None]
    seen = _statuses_of(events)
    of_message = [seen[send.message_id] for send in accepted]
    failed_at_send = len(sends) - len(accepted)
    failed_after_send = sum("failed" in one and not one & DELIVERED_BY for one in of_message)
    return {
        "contacts": len(sends),
        "attempts": len(sends),
        "accepted": len(accepted),
        "failed_at_send": failed_at_send,
        "sent": sum(bool(one & SENT_BY) for one in of_message),
        "delivered": sum(bool(one & DELIVERED_BY) for one in of_message),
        "read": sum("read" in one for one in of_message),
        "failed_after_send": failed_after_send,
        "failed": failed_at_send + failed_after_send,
        "contacts_accepted": len({_customer(send) for send in accepted}),
        "replied": len(_replied(events, accepted)),
    }


def former_counts(events: Events, campaign: str) -> dict[str, tuple[int, ...]]:
    """Return the right answer of the stored function: the FORMER_COLUMNS of each template."""
    latest = {status.send.message_id: status.status for status in events.statuses}
    wrote = {(reply.number, reply.phone) for reply in events.replies}
    templates: dict[str, list[Send]] = defaultdict(list)
    for send in events.sends:
        if send.campaign == campaign:
            templates[send.template[0]].append(send)
    return {name: _former(sends, latest, wrote) for name, sends in templates.items()}


def added(counts: Iterable[Counts]) -> Counts:
    """Return the sums of counts of different messages and people."""
    total: Counts = defaultdict(int)
    for one in counts:
        for name, number in one.items():
            total[name] += number
    return dict(total)


def _former(
    sends: list[Send], latest: Mapping[str | None, str], wrote: set[tuple[str, str]]
) -> tuple[int, ...]:
    accepted = [send for send in sends if send.message_id is not None]
    now = [latest.get(send.message_id) for send in accepted]
    return (
        len(sends),
        len(accepted),
        sum(status in DELIVERED_BY for status in now),
        sum(status == "read" for status in now),
        len({send.phone for send in accepted if _customer(send) in wrote}),
        len(sends) - len(accepted) + sum(status == "failed" for status in now),
    )


def _statuses_of(events: Events) -> Mapping[str | None, set[str]]:
    seen: dict[str | None, set[str]] = defaultdict(set)
    for status in events.statuses:
        seen[status.send.message_id].add(status.status)
    return seen


def _replied(events: Events, accepted: list[Send]) -> set[tuple[str, str]]:
    """Return the customers that wrote within the reply window of any of these sends."""
    sent_s: dict[tuple[str, str], list[int]] = defaultdict(list)
    for send in accepted:
        sent_s[_customer(send)].append(send.at_s)
    return {
        (reply.number, reply.phone)
        for reply in events.replies
        if any(
            0 <= reply.at_s - at_s <= REPLY_WINDOW_S for at_s in sent_s.get((reply.number, reply.phone), ())
        )
    }


def _customer(send: Send) -> tuple[str, str]:
    return send.number, send.phone
