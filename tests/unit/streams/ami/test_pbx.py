"""Laws of the settings of PBXs: wrong ones are named, secrets never shown."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tally.streams.ami.pbx import Pbx, Pbxs

GOOD = {"name": "pbx01", "host": "10.0.0.5", "username": "dialer", "secret": "canary"}
READ: TypeAdapter[tuple[Pbx, ...]] = TypeAdapter(Pbxs)


def test_pbxs_are_a_json_list_and_the_empty_text_is_none() -> None:
    (pbx,) = READ.validate_python(json.dumps([GOOD]))

    assert (pbx.port, pbx.tls, pbx.auth, pbx.resync_seconds) == (5038, False, "plain", 60.0)
    assert pbx.events == "system,call,agent,user,cdr"
    assert pbx.read_secret() == "canary"
    assert READ.validate_python("") == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "pbx 01"},
        {"name": ""},
        {"host": ""},
        {"port": 0},
        {"secret": ""},
        {"secret_file": "also.txt"},
        {"secret": "canary\nAction: Command"},
        {"username": "canary\r\nSecret: x"},
        {"filters": ["!Event: canary\r\nAction: Command"]},
        {"events": "call\r\ncanary"},
        {"auth": "canary"},
        {"resync_seconds": 0},
        {"password": "canary"},
        {"tenant": "canary\0"},
        {"tenant": "canary" * 30},
        {"ca_file": "canary.pem"},
        {"verify": False},
        {"tls": True, "ca_file": "canary.pem", "verify": False},
    ],
)
def test_a_wrong_pbx_is_refused_without_showing_a_value(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        READ.validate_python(json.dumps([{**GOOD, **changed}]))
    messages = [problem["msg"] for problem in raised.value.errors(include_input=False, include_url=False)]
    assert "canary" not in " ".join(messages)


@pytest.mark.parametrize("text", ['[{"secret": "canary"', "canary", json.dumps([GOOD, GOOD])])
def test_wrong_json_and_equal_names_are_refused_without_showing_a_value(text: str) -> None:
    with pytest.raises(ValidationError) as raised:
        READ.validate_python(text)
    (problem,) = raised.value.errors(include_input=False)
    assert "canary" not in problem["msg"]


def test_a_pbx_is_shown_without_its_secret() -> None:
    (pbx,) = READ.validate_python(json.dumps([GOOD]))

    assert str(pbx) == "pbx01 (dialer@10.0.0.5:5038)"
    assert "canary" not in repr(pbx) + str((pbx,))
