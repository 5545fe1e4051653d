"""`tally check` says what a file's records would become: facts, counters, or what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from tally.simulator.recorded import session
from tally.streams.cli.main import application
from tally.streams.operations.checking import parts_of
from tests.contract.test_examples import EXAMPLES, examples

ACCEPTED = orjson.loads((EXAMPLES / "send-results" / "accepted.json").read_bytes())


def run(*arguments: str) -> tuple[int, str, str]:
    found = CliRunner().invoke(application(), ["check", *arguments])
    return found.exit_code, found.stdout, found.stderr


def checked(path: Path, *arguments: str) -> list[Any]:
    _, said, _ = run(str(path), "--json", *arguments)
    return list(orjson.loads(said))


@pytest.mark.parametrize(("topic", "path"), examples(), ids=str)
def test_every_example_has_facts_and_nothing_bad(topic: str, path: Path) -> None:
    code, said, _ = run(str(path))

    assert (code, said.startswith("line 1: facts: ")) == (0, True)
    assert checked(path)[0]["bad"] == []


def test_an_accepted_send_counts_in_the_rows_of_its_template_and_of_its_campaign(tmp_path: Path) -> None:
    (found,) = checked(EXAMPLES / "send-results" / "accepted.json")

    of_template = next(one for one in found["counters"] if one["row"]["grain"] == "template")
    assert of_template["row"]["template_name"] == "promo_nov"
    assert (of_template["added"]["accepted"], of_template["added"]["contacts"]) == (1, 1)


def test_a_record_adds_to_what_stands_before_it_in_the_file_and_a_duplicate_adds_nothing(
    tmp_path: Path,
) -> None:
    file = tmp_path / "sends.ndjson"
    other = {**ACCEPTED, "contact": {"id": 813, "phone": "+5553977777777"}, "message_id": "wamid.HBgM2"}
    file.write_text("\n".join(map(json.dumps, [ACCEPTED, ACCEPTED, other])) + "\n")

    first, again, second = checked(file, "--topic", "send-results")

    assert (first["line"], again["line"], second["line"]) == (1, 2, 3)
    assert first["facts"] == again["facts"] == {"customers": 1, "messages": 1, "recipients": 1}
    assert again["counters"] == []
    assert [one["added"] for one in second["counters"]] == [one["added"] for one in first["counters"]]


def test_a_bad_record_is_named_by_its_line_and_by_what_was_expected(tmp_path: Path) -> None:
    file = tmp_path / "sends.ndjson"
    late = {**ACCEPTED, "time": "2026-11-22T12:34:34"}
    file.write_text("\n".join(["", json.dumps(ACCEPTED), json.dumps(late), "{"]))

    code, said, _ = run(str(file), "--topic", "send-results")

    assert code == 1
    assert "line 3: no facts" in said
    assert "not counted: bad_time at $.time (expected: unix ms or RFC 3339 with a zone, from 2009" in said
    assert "line 4: no facts" in said
    assert "not counted: not_json at $ (expected: JSON)" in said
    assert "2026-11-22T12:34:34" not in said


def test_a_status_alone_moves_nothing_and_is_said_to_wait() -> None:
    code, said, _ = run(str(EXAMPLES / "webhook-events" / "delivered.json"))

    assert code == 0
    assert "no counter moves: it says nothing new, or waits for its send result" in said


def test_packets_of_a_pbx_are_read_with_the_headers_that_are_given(tmp_path: Path) -> None:
    file = tmp_path / "ami-events" / "calls.txt"
    file.parent.mkdir()
    packets = [event for event in session("orig-busy") if b"Timestamp" in event]
    file.write_bytes(b"\r\n".join(packet.rstrip(b"\r\n") + b"\r\n" for packet in packets))

    without = checked(file)
    found = checked(file, "--header", "pbx=p1")

    assert len(found) == len(packets)
    assert {bad["path"] for one in without for bad in one["bad"]} == {"$.pbx"}
    assert not any(one["bad"] for one in found)
    assert any(one["facts"] for one in found)


@pytest.mark.parametrize(
    ("topic", "data", "lines"),
    [
        ("send-results", b"", [1]),
        ("send-results", b"{}", [1]),
        ("send-results", b'{\n"a": 1\n}\n', [1]),
        ("send-results", b'{"a":1}\n\n{"a":2}\n', [1, 3]),
        ("send-results", b'{\n{"a":2}\n', [1, 2]),
        ("send-results", b'{\n"a": \n', [1]),
        ("ami-events", b"Event: A\r\nB: c\r\n\r\n\r\nEvent: D\r\n\r\n", [1, 5]),
        ("ami-events", b'{"Event":"A"}\n{"Event":"B"}', [1, 2]),
        ("ami-events", b"", [1]),
    ],
)
def test_a_file_is_one_record_or_one_a_line_or_packets(topic: str, data: bytes, lines: list[int]) -> None:
    assert [part.line for part in parts_of(topic, data)] == lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--topic", "facts"), "expected --topic with one of webhook-events, send-results, ami-events"),
        ((), "no such raw topic"),
        (("--topic", "ami-events", "--header", "pbx"), "expected NAME=VALUE"),
    ],
)
def test_a_wrong_command_says_what_was_expected(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(b"{}")

    code, _, error = run(str(file), *arguments)

    assert code == 2
    assert said in error
