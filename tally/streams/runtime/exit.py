"""Ending the process when we are wrong: at once, by our own hand, with a reason in the log."""

import logging
import os
import sys
from collections.abc import Mapping
from typing import NoReturn

import structlog
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

log = structlog.get_logger()

RIGHTS: Mapping[type[KafkaError], str] = {
    TopicAuthorizationFailedError: "Read and Write on this topic",
    GroupAuthorizationFailedError: "Read on this group",
    TransactionalIdAuthorizationFailed: "Write and Describe on this transactional id",
    ClusterAuthorizationFailedError: "IdempotentWrite on the cluster",
}
"""What the brokers' refusals ask for."""


class Unavailable(Exception):
    """Something outside this process is wrong, and the message says all: a stack would explain no more."""


EXIT_CODE = 70
"""EX_SOFTWARE: an internal error; the supervisor starts the process again."""


def abort(reason: str, error: BaseException | None = None, **more: object) -> NoReturn:
    """Log why, and end the process without asking anybody.

    Shutdown in order is not tried: Faust's can hang for minutes, and nothing depends on it. What a killed
    process leaves behind is exact; that is what the transactions are for.
    """
    stack = None if isinstance(error, Unavailable) else error
    log.critical("the process ends", reason=reason, error=describe(error), exc_info=stack, **more)
    logging.shutdown()
    sys.stdout.flush()
    os._exit(EXIT_CODE)


def describe(error: BaseException | None) -> str:
    """Return an error in one line, with the right that is wanted where brokers refuse one. Pure."""
    if error is None:
        return ""
    if isinstance(error, Unavailable):
        return str(error)
    wanted = next((right for kind, right in RIGHTS.items() if isinstance(error, kind)), "")
    return f"{type(error).__name__}: {error}{wanted and f' (grant {wanted}: docs/running.md, Rights)'}"
