"""`tally gateway`: webhooks of Meta and events of producers over HTTP."""

from contextlib import nullcontext

from tally.streams.cli.output import fail, need_port
from tally.streams.gateway.process import gateway_parts
from tally.streams.gateway.shared_port import PortOfAnother, claim, deployment_of
from tally.streams.runtime import logs
from tally.streams.runtime.run import run_worker
from tally.streams.settings import load, variable


def gateway() -> None:
    """Take webhooks of the apps in TALLY_GATEWAY_APPS, and send results of producers with a key.

    Answers 200 once the brokers have acknowledged. Several of one deployment may run on one host: they share
    the port. Ends with 0 when it is asked to stop, after what is under way is answered.
    """
    settings = load()
    deployment = deployment_of(settings.kafka_bootstrap.split(","), settings.topic_prefix)
    try:
        claimed = claim(settings.gateway_port, settings.gateway_host, deployment)
    except PortOfAnother as error:
        where = f"port {settings.gateway_port} of {settings.gateway_host} ({variable('gateway_port')})"
        fail(f"{where} cannot be shared: {error}", code=2)
    need_port(settings.metrics_host, settings.gateway_metrics_port, variable("gateway_metrics_port"))
    logs.configure(settings)
    with claimed or nullcontext():
        run_worker(lambda: gateway_parts(settings))
