"""The job without a framework: what an event says, and what that changes; the same for all peers."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson

Json = dict[str, Any]
Delta = list[int]
"""What to add to a row: sent, delivered, read, failed, replied."""

SENT, DELIVERED, READ, FAILED = 1, 2, 4, 8
STATUSES = {"sent": SENT, "delivered": DELIVERED, "read": READ, "played": READ, "failed": FAILED}
REPLY_TYPES = frozenset(
    {
        *("text", "audio", "document", "image", "sticker", "video"),
        *("button", "interactive", "order", "location", "contacts"),
    }
)
REPLY_WINDOW_S = 7 * 24 * 60 * 60
NOTHING: Delta = [0, 0, 0, 0, 0]
REPLIED: Delta = [0, 0, 0, 0, 1]


class Change(NamedTuple):
    """The new state of a message or a customer, and what is to be added to rows."""

    state: Json
    deltas: list[Json]


Count = Callable[[Json | None, Json], Change | None]


def webhook_facts(body: Json) -> Iterator[Json]:
    """Yield a fact for each status and each reply in a webhook's body."""
    for entry in body.get("entry", ()):
        for change in entry.get("changes", ()):
            if change.get("field") == "messages":
                yield from _value_facts(change["value"])


def _value_facts(value: Json) -> Iterator[Json]:
    number = value["metadata"]["phone_number_id"]
    for status in value.get("statuses", ()):
        if bit := STATUSES.get(status["status"]):
            yield {"of": "message", "key": f"{number}|{status['id']}", "seen": bit}
    for message in value.get("messages", ()):
        if message["type"] in REPLY_TYPES:
            yield {
                "of": "customer",
                "key": f"{number}|{message['from']}",
                "reply_s": int(message["timestamp"]),
            }


def send_facts(body: Json) -> Iterator[Json]:
    """Yield, for an accepted send of a campaign, a fact for its message and one for its customer."""
    if body["channel"] != "whatsapp" or body["outcome"] != "accepted" or body["campaign"] is None:
        return
    number, contact = body["phone_number_id"], body["contact"]
    phone = (contact.get("phone") or contact["wa_id"]).removeprefix("+")
    row = _row(body)
    yield {"of": "message", "key": f"{number}|{body['message_id']}", "row": row}
    yield {"of": "customer", "key": f"{number}|{phone}", "row": row, "accepted_s": _seconds(body["time"])}


def _row(body: Json) -> str:
    """Return the key of a row as it is published."""
    template = body.get("template") or {"name": "", "language": ""}
    language = template["language"].replace("-", "_")
    row = [str(body["tenant"]), str(body["campaign"]), template["name"], language]
    return orjson.dumps(row).decode()


def _seconds(time: int | str) -> int:
    return time // 1000 if isinstance(time, int) else int(datetime.fromisoformat(time).timestamp())


def count_message(state: Json | None, fact: Json) -> Change | None:
    """Join a message's send with its statuses; nothing where the fact is known already."""
    known = state or {"row": None, "seen": 0}
    row, seen = known["row"] or fact.get("row"), known["seen"] | fact.get("seen", 0)
    if row == known["row"] and seen == known["seen"]:
        return None
    before = COUNTS[known["seen"]] if known["row"] else NOTHING
    after = COUNTS[seen] if row else NOTHING
    delta = [new - old for new, old in zip(after, before, strict=True)]
    return Change({"row": row, "seen": seen}, [{"row": row, "add": delta}] if any(delta) else [])


def _counts(seen: int) -> Delta:
    """Return what a message with these statuses counts: each status implies those before it."""
    delivered = bool(seen & (DELIVERED | READ))
    failed = bool(seen & FAILED) and not delivered
    return [int(delivered or bool(seen & SENT)), int(delivered), int(bool(seen & READ)), int(failed), 0]


COUNTS = [_counts(seen) for seen in range(SENT + DELIVERED + READ + FAILED + 1)]


def count_customer(state: Json | None, fact: Json) -> Change | None:
    """Join a customer's sends with the replies; nothing where the fact is known already."""
    known = state or {"sends": [], "replies": [], "replied": []}
    at_s = fact.get("reply_s")
    what, new = ("sends", [fact["row"], fact["accepted_s"]]) if at_s is None else ("replies", at_s)
    if new in known[what]:
        return None
    changed = {**known, what: [*known[what], new]}
    rows = sorted(_replied_rows(changed) - set(known["replied"]))
    changed["replied"] = [*known["replied"], *rows]
    return Change(changed, [{"row": row, "add": REPLIED} for row in rows])


def _replied_rows(state: Json) -> set[str]:
    return {
        row
        for row, accepted_s in state["sends"]
        if any(0 <= reply_s - accepted_s <= REPLY_WINDOW_S for reply_s in state["replies"])
    }


def added(row: list[int] | None, delta: Delta) -> list[int]:
    """Return a row with a delta added to it."""
    return [count + more for count, more in zip(row or NOTHING, delta, strict=True)]
