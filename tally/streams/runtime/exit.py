"""Ending the process when we are wrong: at once, by our own hand, with a reason in the log."""

import logging
import os
import sys
from typing import NoReturn

import structlog

log = structlog.get_logger()

EXIT_CODE = 70
"""EX_SOFTWARE: an internal error; the supervisor starts the process again."""


def abort(reason: str, error: BaseException | None = None, **more: object) -> NoReturn:
    """Log why, and end the process without asking anybody.

    Shutdown in order is not tried: Faust's can hang for minutes, and nothing depends on it. What a killed
    process leaves behind is exact; that is what the transactions are for.
    """
    log.critical("the process ends", reason=reason, error=describe(error), exc_info=error, **more)
    logging.shutdown()
    sys.stdout.flush()
    os._exit(EXIT_CODE)


def describe(error: BaseException | None) -> str:
    """Return an error in one line. Pure."""
    return "" if error is None else f"{type(error).__name__}: {error}"
