"""The simulator is repeatable and produces everything that was seen in production."""

import json
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.resources import files
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from tally.schemas.conventions import CONVENTIONS
from tally.schemas.sources import READERS
from tally.simulator.campaign import campaign, past_start_s
from tally.simulator.mixed import mixed
from tally.simulator.poison import poisons, small_poisons
from tally.simulator.population import Size
from tally.simulator.records import SEND_RESULTS, WEBHOOK_EVENTS, RawRecord

Json = dict[str, Any]

START = 1_795_350_000
WEEK = 604_800
REASONS = {
    *(
        "not_json",
        "not_text",
        "too_large",
        "too_many_parts",
        "wrong_type",
        "missing_field",
        "bad_time",
        "bad_id",
    ),
    *("unknown_version", "unknown_object"),
}


class Told:
    """A simulated campaign, taken apart."""

    def __init__(self, records: list[RawRecord]) -> None:
        self.records = records
        poison = {poison.value for poison in small_poisons()}
        records = [record for record in records if record.value not in poison]
        self.results = list(_objects(records, SEND_RESULTS))
        self.bodies = [b for b in _objects(records, WEBHOOK_EVENTS) if isinstance(b.get("entry"), list)]
        self.changes = [c for body in self.bodies for entry in body["entry"] for c in entry["changes"]]
        values = [(c.get("field"), c["value"]) for c in self.changes]
        self.values = [value for _, value in values]
        self.statuses = [s for v in self.values for s in v.get("statuses", []) if isinstance(s, dict)]
        self.inbound = [m for field, v in values if field == "messages" for m in v.get("messages", [])]
        self.accepted = [r for r in self.results if r["outcome"] == "accepted"]


def _objects(records: list[RawRecord], topic: str) -> Iterator[Json]:
    for record in records:
        if record.topic == topic and record.value:
            try:
                body = json.loads(record.value)
            except (ValueError, RecursionError):
                continue
            if isinstance(body, dict):
                yield body


@pytest.fixture(scope="module")
def told() -> Told:
    return Told(campaign(Random(3), START, Size(contacts_per_campaign=250)))


def test_of_campaigns_that_are_over_nearly_nothing_is_refused() -> None:
    """Else whoever counts them would count what is refused: a time to come is `bad_time`."""
    size = Size(contacts_per_campaign=40, calls_per_campaign=10)
    records = mixed(Random(1), past_start_s(START, size), size)
    bad = [
        one for one in records if READERS[one.topic](one.value, one.headers, CONVENTIONS, START * 1000).bad
    ]

    assert 0 < len(bad) < 0.05 * len(records)


def test_the_same_seed_tells_the_same_story() -> None:
    size = Size(contacts_per_campaign=20)

    assert campaign(Random(1), START, size) == campaign(Random(1), START, size)
    assert campaign(Random(1), START, size) != campaign(Random(2), START, size)


def test_the_size_is_what_was_asked_for() -> None:
    size = Size(tenants=3, numbers_per_tenant=2, campaigns_per_tenant=2, contacts_per_campaign=30)
    results = [r for r in Told(campaign(Random(1), START, size)).results if r["campaign"] is not None]
    contacts = _grouped(results, _campaign, lambda r: str(r["contact"]["id"]))

    assert len(contacts) == 3 * 2
    assert all(30 <= len(ids) <= 30 + 3 for ids in contacts.values())
    assert len({r["phone_number_id"] for r in results}) == 3 * 2


def test_one_record_in_ten_comes_twice(told: Told) -> None:
    times = Counter((record.topic, record.value) for record in told.records)
    repeated = sum(n - 1 for n in times.values())

    assert 0.08 < repeated / len(told.records) < 0.16


def test_webhooks_are_written_as_meta_writes_them(told: Told) -> None:
    values = [r.value for r in told.records if r.topic == WEBHOOK_EVENTS and r.value and b"wamid." in r.value]
    poisonous = {poison.value for poison in small_poisons()}

    for value in values:
        if value not in poisonous:
            assert value.isascii()
            assert b'", "' not in value
            assert b"/" not in value.replace(b"\\/", b"")


def test_statuses_come_before_their_send_results_as_often_as_after(told: Told) -> None:
    seen: dict[str, int] = {}
    for nth, record in enumerate(told.records):
        for message_id in set(re.findall(rb"wamid\.[^\"]+", (record.value or b"").replace(b"\\/", b"/"))):
            seen.setdefault(f"{record.topic}{message_id!r}", nth)
    pairs = [(at, seen.get(name.replace(WEBHOOK_EVENTS, SEND_RESULTS))) for name, at in seen.items()]
    both = [
        (status_at, sent_at) for status_at, sent_at in pairs if sent_at is not None and status_at != sent_at
    ]
    earlier = sum(status_at < sent_at for status_at, sent_at in both)

    assert len(both) > 1000
    assert earlier / len(both) > 0.3


def test_a_limit_on_lateness_orders_the_records() -> None:
    size = Size(contacts_per_campaign=30, late_at_most_s=0, bad_share=0)
    results = Told(campaign(Random(4), START, size)).results
    times = [r["time"] // 1000 for r in results if isinstance(r["time"], int)]

    assert all(one <= other for one, other in pairwise(times))


def test_times_are_relative_to_the_start(told: Told) -> None:
    times = [int(s["timestamp"]) for s in told.statuses if str(s.get("timestamp")).isdigit() and "id" in s]
    ours = [at for at in times if at >= START - 100]

    assert max(ours) < START + (6 + 45) * 86_400


PARENTS = ("recipient_parent_user_id", "parent_user_id", "parent_recipient_user_id")

# Every situation that the campaigns have to contain, as a question that some record answers with yes.
SITUATIONS: dict[str, Callable[[Told], bool]] = {
    "several entries in a POST": lambda t: any(len(b["entry"]) > 2 for b in t.bodies),
    "several changes in an entry": lambda t: any(len(e["changes"]) > 1 for b in t.bodies for e in b["entry"]),
    "several statuses in a change": lambda t: any(len(v.get("statuses", [])) > 3 for v in t.values),
    "statuses and messages in a change": lambda t: any({"statuses", "messages"} <= set(v) for v in t.values),
    "a bad status among good ones": lambda t: any(
        None in v["statuses"] and len(v["statuses"]) > 1 for v in t.values if "statuses" in v
    ),
    "contacts with both ids": lambda t: any(
        {"wa_id", "user_id"} <= set(c) and "profile" not in c for v in t.values for c in v.get("contacts", [])
    ),
    "statuses without recipient_id": lambda t: any(
        "recipient_user_id" in s and "recipient_id" not in s for s in t.statuses
    ),
    "three names of the parent id": lambda t: all(any(name in s for s in t.statuses) for name in PARENTS),
    "a dialled number that is not the wa_id": lambda t: any(
        "wa_id" in r["contact"] and r["contact"]["phone"] != "+" + r["contact"]["wa_id"] for r in t.accepted
    ),
    "recipients known by user id only": lambda t: any("phone" not in r["contact"] for r in t.accepted),
    "errors of the old shape": lambda t: any(
        "message" not in e for s in t.statuses for e in s.get("errors", [])
    ),
    "failed without errors": lambda t: any("errors" not in s for s in _with(t, "failed")),
    "several errors in a status": lambda t: any(len(s.get("errors", [])) > 1 for s in t.statuses),
    "timestamps as integers": lambda t: any(type(s.get("timestamp")) is int for s in t.statuses),
    "uncommon statuses": lambda t: all(
        _with(t, one) for one in ("played", "deleted", "warning", "pending", "some_status_of_next_year")
    ),
    "receipts of a group": lambda t: any(s.get("recipient_type") == "group" for s in t.statuses),
    "sends to groups": lambda t: any(r["contact"].get("phone", "").startswith("Y2Fw") for r in t.accepted),
    "prices of groups": lambda t: any("pricing" in s.get("conversation", {}) for s in t.statuses),
    "messages to groups, and in them": lambda t: any(
        m.get("group_id") == r["contact"].get("phone") for m in t.inbound for r in t.accepted
    ),
    "echoes of the phone's app": lambda t: any(
        e["id"].startswith("wamid.") for v in t.values for e in v.get("message_echoes", [])
    ),
    "service messages with templates": lambda t: any(
        r["campaign"] is None and r.get("template") for r in t.accepted
    ),
    "presses without context": lambda t: any(
        m.get("type") == "button" and "id" not in m.get("context", {}) for m in t.inbound
    ),
    "statuses of calls": lambda t: any(s.get("type") == "call" for s in t.statuses),
    "the dashboard's test": lambda t: any(m["id"] == "ABGGFlA5Fpa" for m in t.inbound if "id" in m),
    "errors of the account": lambda t: any("errors" in v and "calls" not in v for v in t.values),
    "all types of messages": lambda t: (
        {m.get("type") for m in t.inbound}
        >= {
            *("text", "audio", "image", "document", "contacts", "location", "sticker", "video", "order"),
            *("button", "interactive", "reaction", "unsupported", "unknown", "edit", "revoke", "system"),
        }
    ),
    "typed replies without context": lambda t: any("context" not in m for m in t.inbound if "text" in m),
    "quotes": lambda t: any("id" in m.get("context", {}) for m in t.inbound),
    "senders without a phone": lambda t: any("from" not in m and "from_user_id" in m for m in t.inbound),
    "replies of a year before": lambda t: any(0 < _at(m) < START - 300 * 86_400 for m in t.inbound),
    "a changed number": lambda t: any("wa_id" in m.get("system", {}) for m in t.inbound),
    "a changed user id": lambda t: any("user_id_update" in v for v in t.values),
    "all outcomes": lambda t: (
        {r.get("outcome") for r in t.results} >= {*("queued", "accepted", "failed", "skipped", "cancelled")}
    ),
    "service messages": lambda t: any(r["campaign"] is None for r in t.accepted),
    "second attempts": lambda t: any(r.get("attempt") in (2, "2") for r in t.results),
    "free-form messages": lambda t: any(r.get("template") is None and r["campaign"] for r in t.accepted),
    "two messages of one attempt": lambda t: (
        max(len(ids) for ids in _grouped(t.accepted, _attempt, lambda r: r["message_id"]).values()) > 1
    ),
    "one message claimed by two campaigns": lambda t: (
        max(len(names) for names in _grouped(t.accepted, lambda r: r["message_id"], _campaign).values()) > 1
    ),
    "both ways to write a time": lambda t: {type(r["time"]) for r in t.accepted} == {int, str},
    "uuids in capitals": lambda t: any(
        str(r["campaign"]).count("-") == 4 and str(r["campaign"]).isupper() for r in t.accepted
    ),
    "languages with a hyphen": lambda t: any(
        "-" in (r.get("template") or {}).get("language", "") for r in t.accepted
    ),
}


def _with(told: Told, status: str) -> list[Json]:
    return [s for s in told.statuses if s.get("status") == status]


def _at(message: Json) -> int:
    written = str(message.get("timestamp"))
    return int(written) if written.isdigit() else 0


def _campaign(result: Json) -> tuple[str, str]:
    return str(result["tenant"]), str(result["campaign"]).lower()


def _attempt(result: Json) -> tuple[Any, ...]:
    return (*_campaign(result), str(result["contact"]["id"]), str(result.get("attempt", 1)))


def _grouped(
    results: list[Json], key: Callable[[Json], Any], value: Callable[[Json], Any]
) -> dict[Any, set[Any]]:
    groups: dict[Any, set[Any]] = {}
    for result in results:
        if result["campaign"] is not None:
            groups.setdefault(key(result), set()).add(value(result))
    return groups


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_situation_occurs(told: Told, situation: str) -> None:
    assert SITUATIONS[situation](told)


@pytest.mark.parametrize("offset", [0, -1, WEEK, WEEK + 1])
def test_replies_fall_on_the_edges_of_the_window(told: Told, offset: int) -> None:
    accepted = {r["message_id"]: r["time"] // 1000 for r in told.accepted if isinstance(r["time"], int)}
    quotes = [m for m in told.inbound if m.get("context", {}).get("id") in accepted]

    assert any(_at(m) - accepted[m["context"]["id"]] == offset for m in quotes)


def test_statuses_are_late_doubled_contradictory_and_incomplete(told: Told) -> None:
    seen: dict[str, list[tuple[int, str]]] = {}
    for status in told.statuses:
        if "id" in status and "status" in status and type(status.get("timestamp")) is str:
            seen.setdefault(str(status["id"]), []).append((_at(status), status["status"]))
    stories = [[status for _, status in sorted(set(one))] for one in seen.values()]

    assert any("read" in s and "delivered" in s[s.index("read") :] for s in stories)
    assert any("read" in s and "delivered" not in s for s in stories)
    assert any("failed" in s and "delivered" in s[: s.index("failed")] for s in stories)
    assert any("failed" in s and "delivered" in s[s.index("failed") :] for s in stories)
    assert any(s.count("delivered") > 1 for s in stories)


def test_message_ids_hold_the_recipients_digits_as_metas_do(told: Told) -> None:
    by_phone = [r for r in told.accepted if "wa_id" in r["contact"]]

    of_meta = [r for r in by_phone if r["message_id"].startswith("wamid.")]
    assert 0.9 < len(of_meta) / len(by_phone) < 1  # a gateway has ids of its own
    for result in of_meta:
        raw = b64decode(result["message_id"].removeprefix("wamid."))
        assert result["contact"]["wa_id"].encode() in raw


def test_a_poison_has_one_name_and_a_reason_of_the_list() -> None:
    table = poisons()

    assert len(table) == len({poison.name for poison in table})
    assert {poison.reason for poison in table} == {*REASONS, None}


def test_poison_that_is_no_json_really_is_none() -> None:
    for poison in poisons():
        if poison.reason in ("not_json", "not_text"):
            assert not _is_json(poison.value), poison.name
        elif poison.value and poison.reason != "too_many_parts":
            assert _is_json(poison.value), poison.name


def _is_json(value: bytes | None) -> bool:
    """Stricter than `json`: no NaN, no number beyond a double, no lone surrogate, at most 1,024 levels."""

    def refuse(name: str) -> Any:
        raise ValueError(name)

    def finite(digits: str) -> float:
        if abs(float(digits)) == float("inf"):
            raise ValueError(digits)
        return float(digits)

    if value is None or value.count(b"[") > 1023:
        return False
    try:
        text = value.decode()
        json.loads(text, parse_constant=refuse, parse_float=finite, parse_int=finite)
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


def test_every_body_names_its_source_and_licence() -> None:
    folder = files("tally.simulator") / "bodies"
    listed = re.findall(
        r"^\| (\S+\.json) \| .+ \| .+ \| .+ \|$", (folder / "SOURCES.md").read_text(), re.MULTILINE
    )

    assert sorted(listed) == sorted(one.name for one in folder.iterdir() if one.name.endswith(".json"))
