"""The gateway of a stack on this machine, with one app whose secret nobody else knows, and its Meta."""

import asyncio
import hmac
import json
import secrets
import sys
from hashlib import sha256

import aiohttp
from msgspec import Struct

from tally.agents.clock import Backoff
from tally.streams.dev.free_port import free_port
from tally.streams.gateway.signature import PREFIX, SIGNATURE
from tally.streams.settings import Settings, load, variable

GATEWAY: tuple[str, ...] = (sys.executable, "-m", "tally.streams.cli", "gateway")
APP = "local"
POST_SECONDS = 10.0
DEADLINE_SECONDS = 60.0


class App(Struct, frozen=True):
    """An app of this machine alone."""

    secret: str
    verify_token: str

    def environment(self) -> dict[str, str]:
        """Return the settings of a gateway for it, on free ports."""
        app = {"name": APP, "secrets": [self.secret], "verify_token": self.verify_token}
        settings = load()
        return {
            variable("gateway_apps"): json.dumps([app]),
            variable("gateway_port"): str(free_port(settings.gateway_port)),
            variable("gateway_metrics_port"): str(free_port(settings.gateway_metrics_port)),
        }


def new_app() -> App:
    """Return an app with a secret of its own."""
    return App(secrets.token_hex(16), secrets.token_hex(16))


class Meta:
    """Posts webhooks as Meta does: signed, and again until the answer is 200."""

    def __init__(self, settings: Settings, app: App) -> None:
        self._url = f"http://{settings.gateway_host}:{settings.gateway_port}/webhooks/{APP}"
        self._secret = app.secret.encode()
        self.posted_again = 0
        """Posts after the first of a body; the former one may have reached the topic all the same."""

    async def __aenter__(self) -> "Meta":
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=POST_SECONDS))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def post(self, body: bytes) -> None:
        """Post one body. Raises TimeoutError if the gateway does not take it."""
        signature = PREFIX + hmac.digest(self._secret, body, sha256).hex()
        headers = {"Content-Type": "application/json", SIGNATURE: signature}
        backoff = Backoff(0.1, 1.0, spread=0.0)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await self._is_taken(body, headers):
                self.posted_again += 1
                await asyncio.sleep(backoff.failed(jitter=0.0))

    async def _is_taken(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            async with self._http.post(self._url, data=body, headers=headers) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False
