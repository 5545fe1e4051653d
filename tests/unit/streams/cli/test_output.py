"""Texts of events are printed literally: they cannot control the terminal, and hold no markup."""

import io

import orjson
import pytest
from aiokafka.errors import KafkaConnectionError

from tally.streams.cli import output
from tally.streams.cli.output import PlainConsole, in_words, plain, print_json, print_table
from tally.streams.demo.report import operators

CLIPBOARD = "\x1b]52;c;aGVsbG8=\x07"
HOSTILE = (
    CLIPBOARD,
    "\x9b2J",
    "\x1b[2J",
    "a\rb",
    "\u202egpj.exe",
    "x[/bold]y",
    "[link=https://evil.example]here[/link]",
    ":smile:",
    "\x7f\x00\x08",
)
OBEYED = ("\x1b", "\x9b", "\x07", "\r", "\u202e", "\x7f", "\x00", "\x08")


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> PlainConsole:
    made = PlainConsole(file=io.StringIO(), force_terminal=True, color_system=None, width=500)
    monkeypatch.setattr(output, "console", made)
    return made


def printed(console: PlainConsole) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_printed_alone_or_in_a_table_is_the_text_itself(console: PlainConsole, text: str) -> None:
    console.print(f"detail: {text}", highlight=False)
    print_table(("origin", "detail"), [("raw/0/1", text)], title=text)
    row = {"tenant": text, "pbx": text, "operator": text, "state": text}
    operators(console, [row | dict.fromkeys(("connects", "ring_no_answer", "talk_ms"), 1)])

    shown = printed(console)
    assert shown.count(plain(text)) >= 6
    assert not [character for character in OBEYED if character in shown]


def test_json_has_every_text_and_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([*HOSTILE, "ÄÖ 名"])

    shown = capsys.readouterr().out
    assert orjson.loads(shown) == [*HOSTILE, "ÄÖ 名"]
    assert not [character for character in OBEYED if character in shown and character != "\u202e"]
    assert "ÄÖ 名" in shown


def test_lines_and_tabs_stay() -> None:
    assert plain("a\tb\nc") == "a\tb\nc"


def test_a_server_that_is_away_is_one_line_with_the_setting_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TALLY_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    assert in_words(KafkaConnectionError("Unable to bootstrap from [('127.0.0.1', 1, 2)]")) == (
        "no broker lets us in (TALLY_KAFKA_BOOTSTRAP): 127.0.0.1:1: connection refused"
    )
    assert "TALLY_POSTGRES_DSN" in in_words(ConnectionRefusedError(111, "Connect call failed"))
    assert in_words(TimeoutError()) == "timed out: no answer within the deadline"
    assert in_words(ValueError("what")) == "ValueError: what"
