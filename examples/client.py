"""A client of the read API and the gateway in one file, with nothing but the standard library: copy it.

    TALLY_API_KEY=tally_... python examples/client.py http://127.0.0.1:6066 example

`GET /openapi.json` describes every address; a test holds this file against it.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

Json = dict[str, Any]
TIMEOUT_SECONDS = 30.0
TRIES = 5
LATER = (429, 502, 503, 504)  # 502 and 504 are a proxy's


class Refused(Exception):
    """An answer other than 200: `status`, `code` and `message`, and the `bad` parts of what was posted."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.code, self.message, self.bad = status, "", "not by Tally, but a proxy", list[Json]()
        with suppress(ValueError, LookupError, TypeError):  # a proxy answers with a page of its own
            answer = json.loads(body)
            self.code, self.message = answer["error"]["code"], answer["error"]["message"]
            self.bad = answer.get("bad", [])
        super().__init__(f"{status} {self.code}: {self.message}")


class Tally:
    """A client of one server: of a worker to read, of a gateway to post."""

    def __init__(self, url: str, tenant: str, key: str) -> None:
        self._url = f"{url}/v1/tenants/{quote(tenant, safe='')}"
        self._headers = {"Authorization": f"Bearer {key}"}

    def campaign(self, campaign: str) -> Json:
        """Return all numbers of a campaign, with a receipt that says up to when everything is counted."""
        return self._get(f"/campaigns/{quote(campaign, safe='')}")

    def progress(self, campaign: str) -> Json:
        """Return where a campaign stands, how fast it goes, and when it will be done."""
        return self._get(f"/campaigns/{quote(campaign, safe='')}/progress")

    def series(self, campaign: str, **query: str) -> Json:
        """Return a campaign's numbers over time: `interval`, `timezone`, `from`, `to`, `group_by`."""
        return self._get(f"/campaigns/{quote(campaign, safe='')}/series", **query)

    def campaigns(self, **query: str) -> Iterator[Json]:
        """Yield the tenant's campaigns, newest activity first; `since` and `id` choose."""
        return self._each("/campaigns", "campaigns", **query)

    def templates(self, campaign: str) -> Iterator[Json]:
        """Yield all templates of a campaign."""
        return self._each(f"/campaigns/{quote(campaign, safe='')}/templates", "templates")

    def operators(self, **query: str) -> Iterator[Json]:
        """Yield the tenant's operators with their states; `pbx` and `state` choose."""
        return self._each("/operators", "operators", **query)

    def queues(self, **query: str) -> Iterator[Json]:
        """Yield the tenant's queues; `threshold_seconds` is that of the service level."""
        return self._each("/queues", "queues", **query)

    def stream(self, **query: str) -> Iterator[tuple[str, Json]]:
        """Yield events as numbers change: (`snapshot`, `change`, `receipt` or `bye`, what it holds)."""
        with self._send(f"/stream?{urlencode(query)}") as lines:
            event = ""
            for line in lines:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                event = value if name == "event" else event
                if name == "data":
                    yield event, json.loads(value)

    def post(self, topic: str, events: Iterable[Json], dry_run: bool = False) -> Json:
        """Publish `send-results` or `campaigns`, all or none; repeating it counts nothing twice."""
        body = json.dumps(list(events)).encode()
        with self._send(f"/{topic}?{urlencode({'dry_run': int(dry_run)})}", body) as answer:
            return dict(json.load(answer))

    def _get(self, path: str, **query: str) -> Json:
        with self._send(path + (f"?{urlencode(query)}" if query else "")) as answer:
            return dict(json.load(answer))

    def _each(self, path: str, name: str, **query: str) -> Iterator[Json]:
        cursor: Json = {}
        while True:
            page = self._get(path, **query, **cursor)
            yield from page[name]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}

    def _send(self, target: str, body: bytes | None = None) -> HTTPResponse:
        """Send a request; what may be taken later again, as `Retry-After` says. Raises Refused, OSError."""
        headers = self._headers if body is None else self._headers | {"Content-Type": "application/json"}
        for tries in range(1, TRIES + 1):
            try:
                request = Request(self._url + target, body, headers)  # noqa: S310 - the caller's own address
                response: HTTPResponse = urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310
                return response
            except HTTPError as error:
                with error:
                    if error.code not in LATER or tries == TRIES:
                        raise Refused(error.code, error.read()) from None
                    time.sleep(float(error.headers.get("Retry-After", 1)))
        raise AssertionError("the last try returns or raises")


if __name__ == "__main__":
    for one in Tally(sys.argv[1], sys.argv[2], os.environ["TALLY_API_KEY"]).campaigns():
        print(one["campaign"], one["name"] or "", json.dumps(one["totals"]))
