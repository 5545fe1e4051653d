"""Structured logs: pretty on a terminal, one JSON object a line elsewhere."""

import logging
import sys
from functools import partial
from typing import Protocol

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor

QUIET = (
    "aiokafka",
    "kafka",
    "faust",
    "mode",
    "aiohttp.access",
    "asyncio",
    "abc",
    "tally.streams.transport",
    "tally.streams.web.app",
)
"""Loggers whose info lines describe only their own working; they log from WARNING up."""


class LogSettings(Protocol):
    """The settings of logs; the parent of a worker's processes knows no others."""

    @property
    def log_level(self) -> str:
        """The least level to log."""

    @property
    def log_format(self) -> str:
        """One of auto, pretty and json."""


def _named(process: str, _logger: object, _method: str, event: EventDict) -> EventDict:
    event["process"] = process
    return event


def configure(settings: LogSettings, process: str = "") -> None:
    """Send the logs of Tally and its libraries to standard error in one form.

    `process` is named in each line, where a worker has several. Tracebacks omit local variables, which hold
    phone numbers and message ids.
    """
    pretty = settings.log_format == "pretty" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([partial(_named, process)] if process else []),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if pretty
        else [
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
