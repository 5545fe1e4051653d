"""The client of examples/ asks what the descriptions say, in the form that they say."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import Request

import orjson
import pytest

from tally.streams.gateway import described
from tally.streams.web import routes
from tally.streams.web.openapi import JSON, Json
from tests.support.client import load_client
from tests.support.described import Described

EXAMPLES = Path(__file__).parents[2] / "tally" / "schemas" / "examples"
URL = "http://tally.example:1"
ODD = "a/b ü%"
LISTS = ("campaigns", "templates", "operators", "queues")
CALLS: dict[str, Callable[[Any], object]] = {
    "campaign": lambda client: client.campaign(ODD),
    "progress": lambda client: client.progress(ODD),
    "campaign_series": lambda client: client.series(
        ODD, interval="hour", timezone="Europe/Paris", compare="previous_period"
    ),
    "campaigns": lambda client: list(client.campaigns(since="2026-11-22T12:34:36Z", id="c1")),
    "templates": lambda client: list(client.templates(ODD)),
    "operators": lambda client: list(client.operators(state="paused", pbx="pbx01")),
    "queues": lambda client: list(client.queues(threshold_seconds="30")),
    "stream": lambda client: list(client.stream(campaigns="1", campaign=ODD)),
    "post-send-results": lambda client: client.post("send-results", events("send-results")),
    "post-campaigns": lambda client: client.post("campaigns", events("campaigns"), dry_run=True),
}


def events(topic: str) -> Iterable[Json]:
    return (orjson.loads(path.read_bytes()) for path in sorted((EXAMPLES / topic).glob("*.json")))


@pytest.fixture
def module() -> Any:
    return load_client()


@pytest.mark.parametrize("name", CALLS)
def test_each_call_asks_what_is_described(name: str, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []

    def urlopen(request: Request, timeout: float) -> io.BytesIO:
        assert timeout <= 60
        asked.append(request)
        last = len(asked) > 1 or name not in LISTS
        page = {name: [{"number": len(asked)}], "next_cursor": None if last else "bmV4dA"}
        return io.BytesIO(b"event: snapshot\ndata: {}\n\n" if name == "stream" else orjson.dumps(page))

    monkeypatch.setattr(module, "urlopen", urlopen)
    answer = CALLS[name](module.Tally(URL, "t/1", "tally_x"))

    assert len(asked) == (2 if name in LISTS else 1)
    if name in LISTS:
        assert answer == [{"number": 1}, {"number": 2}], "both pages"
    view, gateway = routes.description().document, described.description().document
    for request in asked:
        assert request.get_header("Authorization") == "Bearer tally_x"
        is_valid(Described(gateway if name.startswith("post") else view), request, name)


def is_valid(server: Described, request: Request, name: str) -> None:
    """Hold a request against what a description says of its operation."""
    parts = urlsplit(request.full_url)
    operation = server.operation(request.get_method(), parts.path)
    assert operation is not None, f"{request.get_method()} {parts.path} is not described"
    assert operation["operationId"] == name
    assert unquote(parts.path.split("/")[3]) == "t/1"
    known = {one["name"]: one["schema"] for one in operation["parameters"] if one["in"] == "query"}
    for parameter, values in parse_qs(parts.query, keep_blank_values=True).items():
        schema = known[parameter]
        given: Any = values if schema.get("type") == "array" else values[0]
        if "integer" in str(schema):
            given = [int(one) for one in given] if isinstance(given, list) else given
        assert server.validator(schema).is_valid(given), (parameter, values)
    if request.data is not None:
        assert isinstance(request.data, bytes)
        schema = operation["requestBody"]["content"][JSON]["schema"]
        assert server.open_validator(schema).is_valid(orjson.loads(request.data))


def test_it_asks_again_when_it_is_told_and_says_why_it_was_refused(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    answers = [(429, {"Retry-After": "3"}), (502, {}), (503, {}), (504, {}), (404, {})]

    def urlopen(request: Request, timeout: float) -> None:
        status, headers = answers.pop(0)
        body = io.BytesIO(b'{"error": {"code": "unknown_campaign", "message": "none"}}')
        raise module.HTTPError(request.full_url, status, "", headers, body)

    monkeypatch.setattr(module, "urlopen", urlopen)
    monkeypatch.setattr(module.time, "sleep", waited.append)
    with pytest.raises(module.Refused, match="404 unknown_campaign: none"):
        module.Tally(URL, "t1", "k").campaign("c1")
    assert waited == [3.0, 1.0, 1.0, 1.0]


def refused(module: Any, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes) -> Any:
    """Post an event that is answered so, and return what the client raises."""

    def urlopen(request: Request, timeout: float) -> None:
        raise module.HTTPError(request.full_url, status, "", {}, io.BytesIO(body))

    monkeypatch.setattr(module, "urlopen", urlopen)
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    with pytest.raises(module.Refused) as found:
        module.Tally(URL, "t1", "k").post("send-results", [{}])
    return found.value


def test_it_says_what_was_bad_in_what_was_posted(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [{"index": 0, "reason": "missing_field", "path": "$.tenant", "expected": "text"}]
    body = orjson.dumps({"error": {"code": "bad_items", "message": "1 parts"}, "bad": bad, "refused": 1})
    raised = refused(module, monkeypatch, 422, body)
    assert (raised.status, raised.code, raised.message, raised.bad) == (422, "bad_items", "1 parts", bad)


@pytest.mark.parametrize("body", [b"<html>502 Bad Gateway</html>", b"", b"[]", b'{"error": "no"}', b"null"])
def test_what_a_proxy_answers_by_itself_is_a_refusal_too(
    body: bytes, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = refused(module, monkeypatch, 502, body)
    assert (raised.status, raised.code, raised.bad) == (502, "", [])
    assert "proxy" in str(raised)
