"""One value written in several ways, and what is written badly, as the recount in SQL reads it."""

import json
from typing import Any

import pytest

from tally.simulator.poison import poisons
from tests.integration.recount.judge import Recount, pick
from tests.support.languages import LANGUAGES
from tests.support.whatsapp_events import a_status, contact, send, status


def test_languages_are_read_as_the_fold_reads_them(recount: Recount) -> None:
    written = [one for one in LANGUAGES if one.strip()]
    events = [
        send("queued", contact=contact(f"{nth}"), template={"name": f"t{nth}", "language": one})
        for nth, one in enumerate(written)
    ]
    stats = recount(*events)

    assert [stats.templates["c1", f"t{nth}"]["template_language"] for nth in range(len(written))] == [
        LANGUAGES[one] for one in written
    ]


def test_the_same_ids_are_written_in_many_ways(recount: Recount) -> None:
    uuid = "0b5e2c1e-7f7a-4a59-9d0e-2f3a4b5c6d7e"
    stats = recount(
        send("queued", campaign=uuid, contact=contact("812"), template={"name": "x", "language": "pt-BR"}),
        send(
            "queued",
            campaign=uuid.upper(),
            contact=contact("812") | {"id": 812},
            attempt="1",
            template={"name": "x", "language": "PT_br", "id": 17},
            time="2026-11-22T12:34:34.5-03:00",
        ),
    )

    assert pick(stats[uuid], "contacts", "attempts") == (1, 1)
    assert stats.templates[uuid, "x"]["template_language"] == "pt_BR"


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-22T13:00:00Z",
        "2026-11-22t13:00:00.0009z",
        "2026-11-22T10:00:00-03:00",
        "2026-11-22T18:45:00.000+05:45",
    ],
)
def test_rfc_3339_is_the_same_moment(recount: Recount, written: str) -> None:
    at = 1_795_352_400  # 2026-11-22T13:00:00Z
    stats = recount(send(message_id="w1", time=written), status("w1", "delivered", at + 3))

    assert stats["c1"]["time_to_deliver"]["p50_ms"] == 3000


def test_a_float_is_no_integer_however_it_is_written(recount: Recount) -> None:
    topic, good = send("queued")
    floats = [
        (good or b"").replace(b'"id": "a"', b'"id": ' + number)
        for number in (b"1e3", b"1.0", b"10E-1", b"1e+2")
    ]

    assert recount(*((topic, body) for body in floats)).everything == ([], [])


def test_a_bad_part_takes_nothing_along(recount: Recount) -> None:
    metadata = {"phone_number_id": "n1"}
    good, no_time = a_status("w1", "read"), {"id": "w2", "status": "read"}
    statuses: list[Any] = [None, "x", [], {}, {**no_time, "timestamp": True}, no_time, good]
    changes: list[Any] = [
        7,
        {"field": "messages", "value": {"statuses": [a_status("w2", "read")]}},
        {"field": "messages", "value": {"metadata": metadata, "statuses": {}, "messages": [{"id": 1}, None]}},
        {"field": "messages", "value": {"metadata": metadata, "statuses": statuses}},
    ]
    entries = [None, {"changes": "x"}, {"changes": changes}]
    body = {"object": "whatsapp_business_account", "entry": entries}
    stats = recount(
        send(message_id="w1"),
        send(message_id="w2", contact=contact("b")),
        ("webhook-events", json.dumps(body).encode()),
    )

    assert pick(stats["c1"], "accepted", "read") == (2, 1)


def test_poison_counts_nothing_and_disturbs_nothing(recount: Recount) -> None:
    bad = [(poison.topic, poison.value) for poison in poisons() if poison.reason]
    stats = recount(send(message_id="w1"), *bad, status("w1", "read"))

    assert list(stats.campaigns) == ["c1"]
    assert pick(stats["c1"], "attempts", "read") == (1, 1)


def test_what_the_poison_table_accepts_counts(recount: Recount) -> None:
    stats = recount(*((poison.topic, poison.value) for poison in poisons() if not poison.reason))

    assert {name: row["accepted"] for name, row in stats.campaigns.items()} == {"p1": 6, "p2": 1}
