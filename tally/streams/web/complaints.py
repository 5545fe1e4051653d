"""What the HTTP server says of requests that it cannot read: a line each, and few of them."""

import logging
from collections.abc import Callable

from aiohttp.http_exceptions import HttpProcessingError

MINUTE_SECONDS = 60.0
MOST_A_MINUTE = 10


class Complaints(logging.Filter):
    """Lets so many lines a minute through, and says with the next one how many there were besides.

    By default a malformed request is an error with a traceback: whoever reaches the port fills the disk. Of
    such a request only the kind of the error is said, since its text repeats what the client sent.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        super().__init__()
        self._now_s = now_s
        self._since_s = now_s()
        self._said = self._unsaid = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a line; make one line of what a client can bring about."""
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
    """Return a logger for one server, with an allowance of its own."""
    logger = logging.getLogger(__name__).getChild("server")
    logger.filters = [Complaints(now_s)]
    return logger
