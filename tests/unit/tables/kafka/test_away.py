"""Brokers that do not answer are waited for; what they refuse is not asked again."""

import pytest
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    NotEnoughReplicasError,
    ProducerFenced,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from tally.tables.kafka.away import ASKED, is_away


def looked_for_a_coordinator(cause: Exception) -> KafkaError:
    """Return what a producer raises whose search for its coordinator failed."""
    try:
        raise KafkaError(repr(cause)) from cause
    except KafkaError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        KafkaConnectionError("nobody there"),
        NodeNotReadyError(),
        RequestTimedOutError(),
        KafkaTimeoutError(),
        NotEnoughReplicasError(),
        TimeoutError(),
        ConnectionResetError(),
        looked_for_a_coordinator(KafkaConnectionError("closed")),
    ],
)
def test_brokers_that_do_not_answer_are_away(error: Exception) -> None:
    assert is_away(error)
    assert isinstance(error, ASKED)


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationFailedError(),
        TopicAuthorizationFailedError("facts"),
        TransactionalIdAuthorizationFailed(),
        ProducerFenced(),
        KafkaError("something that has no name"),
        looked_for_a_coordinator(TransactionalIdAuthorizationFailed()),
        FileNotFoundError("no such CA file"),
        ValueError(),
    ],
)
def test_what_waiting_cannot_mend_is_no_absence(error: Exception) -> None:
    assert not is_away(error)
