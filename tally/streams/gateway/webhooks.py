"""Meta's webhooks: the handshake, and bodies that go to `webhook-events` as they came."""

from collections.abc import Sequence
from typing import cast

from aiohttp import web

from tally.streams.gateway.apps import App
from tally.streams.gateway.bodies import Unread, read_body
from tally.streams.gateway.intake import Intake
from tally.streams.gateway.observer import Clocks, GatewayObserver, Outcome
from tally.streams.gateway.queued import Record
from tally.streams.gateway.signature import SIGNATURE, challenge_of, is_signed
from tally.streams.web.responses import error_response
from tally.tables.kafka.batches import Headers

PATH = "/webhooks/{app}"
TOPIC = "webhook-events"
JSON = frozenset({"application/json"})
_OUTCOMES: dict[int, Outcome] = {
    200: "accepted",
    400: "cut",
    401: "forged",
    408: "slow",
    413: "too_large",
    415: "unsupported",
}


class Webhooks:
    """Answers Meta at the address of each app."""

    def __init__(
        self, apps: Sequence[App], intake: Intake, observer: GatewayObserver, clocks: Clocks
    ) -> None:
        self._apps = {app.name: app for app in apps}
        self._keys = {app.name: app.keys for app in apps}
        self._intake = intake
        self._observer = observer
        self._clocks = clocks

    async def handshake(self, request: web.Request) -> web.Response:
        """Answer Meta's question whether this address is ours: 200 with the challenge, else 403."""
        app = self._app(request)
        challenge = challenge_of(list(request.query.items()), app.verify_token.get_secret_value())
        self._observer.ended(app.name, "handshake_refused" if challenge is None else "handshake")
        if challenge is None:
            return error_response(403, "wrong_token", "hub.verify_token is not that of this app")
        return web.Response(text=challenge)

    async def accept(self, request: web.Request) -> web.Response:
        """Take a webhook: 200 once the brokers have it."""
        app = self._app(request)
        with self._intake.share() as share:
            try:
                body = await read_body(request, share, JSON)
                signatures = request.headers.getall(SIGNATURE, [])
                record = signed_record(app, self._keys[app.name], body, signatures, self._clocks.now_ms())
                await self._intake.publish(TOPIC, [record])
            except Unread as refused:
                self._observer.ended(app.name, outcome_of(refused))
                raise
        self._observer.ended(app.name, "accepted")
        return web.Response()

    def _app(self, request: web.Request) -> App:
        app = self._apps.get(request.match_info["app"])
        if app is None:
            raise web.HTTPNotFound
        return app


def signed_record(
    app: App, keys: Sequence[bytes], body: bytes, signatures: Sequence[str], now_ms: int
) -> Record:
    """Return a webhook as the record that is published. Raises Unread if its signature is not the app's."""
    if not is_signed(body, signatures, keys):
        raise Unread(401, "unsigned", f"{SIGNATURE} is missing or not that of this body")
    return Record(body, headers_of(app, signatures[0], now_ms))


def headers_of(app: App, signature: str, now_ms: int) -> Headers:
    """Return the headers of a webhook's record. Pure."""
    headers: Headers = [
        ("app", app.name.encode()),
        ("received_at", str(now_ms).encode()),
        ("signature", signature.encode()),
    ]
    return headers if app.tenant is None else [*headers, ("tenant", app.tenant.encode())]


def outcome_of(refused: Unread) -> Outcome:
    """Return under which name a refusal is counted. Pure."""
    return cast(Outcome, refused.code) if refused.status == 503 else _OUTCOMES[refused.status]
