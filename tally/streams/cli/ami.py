"""`tally ami`: the collector from Asterisk PBXs to Kafka."""

import structlog

from tally.streams.ami.process import collector_parts
from tally.streams.cli.output import fail, need_port
from tally.streams.runtime import logs
from tally.streams.runtime.exposure import exposed_pbxs
from tally.streams.runtime.run import run_worker
from tally.streams.settings import load, variable

log = structlog.get_logger()


def ami() -> None:
    """Read the PBXs named in TALLY_AMI_PBXS and publish their events to `ami-events`.

    Declares missing topics first. Ends with 0 when it is asked to stop, after what it has read is published,
    and with another code when something is wrong: a supervisor starts it again.
    """
    settings = load()
    if not settings.ami_pbxs:
        fail("TALLY_AMI_PBXS names no PBX", code=2)
    need_port(settings.metrics_host, settings.ami_metrics_port, variable("ami_metrics_port"))
    logs.configure(settings)
    for line in exposed_pbxs(settings):
        log.warning(line)
    run_worker(lambda: collector_parts(settings))
