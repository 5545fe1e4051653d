"""The Faust app that only serves: no consumer, no producer, just the web server."""

import faust
from faust.app.base import BootStrategy
from faust.types import ServiceT

from tally.agents.view.reader import Reader
from tally.streams.settings import Settings
from tally.streams.web.routes import register
from tally.streams.web.site import Site


class WebOnly(BootStrategy):
    """Starts the web server and nothing else."""

    enable_kafka = False
    enable_web = True
    enable_sensors = False

    def agents(self) -> list[ServiceT]:
        """Start none: this app has no agents."""
        return []


class WebApp(faust.App):
    """An app without consumer and producer."""

    BootStrategy = WebOnly

    async def on_first_start(self) -> None:
        """Create none of Faust's folders: nothing is kept in them."""


def web_app(settings: Settings, site: Site, reader: Reader | None) -> faust.App:
    """Return the app that serves metrics and health, and with a reader the read API."""
    app = WebApp(
        f"{settings.names.app}-web",
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
    register(app, site, reader)
    return app
