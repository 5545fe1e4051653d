"""The collector process, built from the settings."""

from tally.streams.ami.buffer import Buffer
from tally.streams.ami.collector import Collector
from tally.streams.ami.observer import AmiMetrics
from tally.streams.ami.sink import open_sink
from tally.streams.runtime.http import answers, http_app, serve
from tally.streams.runtime.run import Parts
from tally.streams.settings import Settings
from tally.streams.web.serving import WebServer


async def collector_parts(settings: Settings) -> Parts:
    """Return the parts to run: the collector, and an HTTP server that answers until it has stopped."""
    metrics = AmiMetrics(pbx.name for pbx in settings.ami_pbxs)
    collector = Collector(
        settings.ami_pbxs,
        lambda: Buffer(settings.ami_buffer_records, settings.ami_buffer_bytes),
        lambda pbx: open_sink(settings, pbx),
        metrics,
    )
    # Liveness only requires an answer: a process that holds events must not end because Kafka or PBXs are
    # away.
    app = http_app(metrics, {"live": answers, "ready": collector.ready}, settings.web_hosts)
    return Parts(
        apps=(),
        services={
            "http": lambda: serve(WebServer(app), settings.metrics_host, settings.ami_metrics_port),
            "collector": collector.run,
        },
    )
