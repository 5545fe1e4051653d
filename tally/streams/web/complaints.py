"""Log lines about requests that the HTTP server cannot read: one line each, at a limited rate."""

import logging
from collections.abc import Callable

from aiohttp.http_exceptions import HttpProcessingError

MINUTE_SECONDS = 60.0
MOST_A_MINUTE = 10


class Complaints(logging.Filter):
    """Passes at most `MOST_A_MINUTE` lines a minute; the next line says how many were dropped.

    By default aiohttp logs a malformed request as an error with a traceback, so any client of the port could
    fill the disk. The line names only the kind of the error, since its text repeats what the client sent.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        super().__init__()
        self._now_s = now_s
        self._since_s = now_s()
        self._said = self._unsaid = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record; reduce a record of a malformed request to one line."""
        now_s = self._now_s()
        if now_s - self._since_s >= MINUTE_SECONDS:
            self._since_s, self._said = now_s, 0
        if self._said >= MOST_A_MINUTE:
            self._unsaid += 1
            return False
        self._said += 1
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args = "a malformed request: %s", (type(error).__name__,)
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        if self._unsaid:
            record.msg, record.args = "%s (and %d lines like it before)", (record.getMessage(), self._unsaid)
            self._unsaid = 0
        return True


def bounded_logger(now_s: Callable[[], float]) -> logging.Logger:
    """Return a logger for one server, with a separate limit."""
    logger = logging.getLogger(__name__).getChild("server")
    logger.filters = [Complaints(now_s)]
    return logger
