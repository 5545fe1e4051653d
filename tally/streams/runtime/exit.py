"""Ends the process at once on a fault of its own, with the reason in the log."""

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
"""The right to grant for each kind of refusal by the brokers."""


class Unavailable(Exception):
    """Something outside this process is wrong, and the message says all: a stack would explain no more."""


EXIT_CODE = 70
"""EX_SOFTWARE: an internal error; the supervisor starts the process again."""


def abort(reason: str, error: BaseException | None = None, **more: object) -> NoReturn:
    """Log the reason and end the process without an orderly shutdown.

    Faust's shutdown can hang for minutes, and nothing depends on it: transactions keep the state of a killed
    process exact.
    """
    stack = None if isinstance(error, Unavailable) else error
    log.critical("the process ends", reason=reason, error=describe(error), exc_info=stack, **more)
    logging.shutdown()
    sys.stdout.flush()
    os._exit(EXIT_CODE)


def describe(error: BaseException | None) -> str:
    """Return an error in one line; if brokers refused a right, name the right to grant. Pure."""
    if error is None:
        return ""
    if isinstance(error, Unavailable):
        return str(error)
    wanted = next((right for kind, right in RIGHTS.items() if isinstance(error, kind)), "")
    return f"{type(error).__name__}: {error}{wanted and f' (grant {wanted}: docs/running.md, Rights)'}"
