"""`tally gateway`: webhooks of Meta and events of producers over HTTP."""

from tally.streams.cli.output import need_port
from tally.streams.gateway.process import gateway_parts
from tally.streams.runtime import logs
from tally.streams.runtime.run import run_worker
from tally.streams.settings import load, variable


def gateway() -> None:
    """Take webhooks of the apps in TALLY_GATEWAY_APPS, and send results of producers with a key.

    Answers 200 once the brokers have acknowledged. Several may run on one host: they share the port. Ends
    with 0 when it is asked to stop, after what is under way is answered.
    """
    settings = load()
    need_port(settings.metrics_host, settings.gateway_metrics_port, variable("gateway_metrics_port"))
    logs.configure(settings)
    run_worker(lambda: gateway_parts(settings))
