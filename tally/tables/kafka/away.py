"""Whether an error of a Kafka client says that brokers are away: then waiting helps."""

from aiokafka.errors import KafkaError, KafkaTimeoutError, KafkaUnavailableError

ASKED = (KafkaError, TimeoutError, ConnectionError)
"""Every error of asking brokers, whatever it says; `is_away` tells which of them waiting mends."""


def is_away(error: BaseException | None) -> bool:
    """Return whether brokers do not answer, or cannot do now what they are asked to. Pure.

    A refusal (a missing right, a fenced producer) and a missing file are no such errors. Where the client
    looks for a coordinator it wraps whatever happened in a plain KafkaError, so there the cause decides.
    """
    if error is not None and type(error) is KafkaError:
        return is_away(error.__cause__)
    if isinstance(error, KafkaError):
        return error.retriable or isinstance(error, (KafkaTimeoutError, KafkaUnavailableError))
    return isinstance(error, (TimeoutError, ConnectionError))
