"""The Faust app that runs only the web server, without consumer or producer."""

import asyncio
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.types import AppT, ServiceT
from faust.web.drivers.aiohttp import Web

from tally.streams.processes.member import Member
from tally.streams.runtime.run import fail
from tally.streams.settings import Settings
from tally.streams.web.connections import Closed
from tally.streams.web.serving import WebServer
from tally.streams.worker.metrics import Metrics


class WebOnly(BootStrategy):
    """Starts the web server and nothing else."""

    enable_kafka = False
    enable_web = True
    enable_sensors = False

    def agents(self) -> list[ServiceT]:
        """Return no agents: this app has none."""
        return []


class BoundedWeb(Web):
    """Faust's web driver with our server: Faust's own has no time-outs and no limit of connections."""

    def __init__(self, app: AppT, metrics: Metrics, member: Member | None, **options: Any) -> None:
        super().__init__(app, **options)
        self._metrics = metrics
        self._member = member
        """The tie to the process that accepts connections for this one; None if it listens itself."""
        self._server: WebServer | None = None
        self._receiving: asyncio.Task[None] | None = None

    async def start_server(self) -> None:
        """Start the web server."""
        self._server = WebServer(self.web_app, self._closed)
        self._metrics.follow("tally_web_connections", self._connections)
        if self._member is None:
            await self._server.start(self.app.conf.web_bind, self.app.conf.web_port)
        else:
            await self._server.prepare()
            self._receiving = asyncio.create_task(self._member.serve(self._server.adopt))
            self._receiving.add_done_callback(self._ended)

    async def stop_server(self) -> None:
        """Stop the web server."""
        if self._receiving is not None:
            self._receiving.cancel()
        if self._server is not None:
            await self._server.stop()

    def _ended(self, receiving: "asyncio.Task[None]") -> None:
        if not receiving.cancelled() and (error := receiving.exception()) is not None:
            fail("no more connections can be served", error)

    def _connections(self) -> float:
        return 0.0 if self._server is None else float(len(self._server.connections))

    def _closed(self, reason: Closed) -> None:
        self._metrics.count("tally_web_connections_closed_total", reason=reason)


class WebApp(faust.App):
    """An app without consumer and producer."""

    BootStrategy = WebOnly

    def __init__(self, name: str, metrics: Metrics, member: Member | None = None, **options: Any) -> None:
        self._served = metrics, member
        super().__init__(name, **options)

    def _new_web(self) -> BoundedWeb:
        return BoundedWeb(self, *self._served)

    async def on_first_start(self) -> None:
        """Create none of Faust's folders: Tally keeps nothing in them."""


def web_app(settings: Settings, metrics: Metrics, member: Member | None) -> WebApp:
    """Return the app of the read API, without any address yet."""
    return WebApp(
        f"{settings.names.app}-web",
        metrics,
        member,
        broker="kafka://",
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=True,
        web_bind=settings.web_host,
        web_host=settings.web_host,
        web_port=settings.web_port,
        web_in_thread=False,
    )
