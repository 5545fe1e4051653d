"""Why no broker lets this process in, in words.

The client logs why an address failed and raises an error that names only the addresses. Of a listener that
speaks another protocol not even its log says more than that the connection was closed. So the addresses are
tried once more here, step by step, and what fails is said with the setting to look at, never with its value.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from tally.streams.runtime.exit import Unavailable
from tally.streams.settings import Settings, variable
from tally.tables.kafka.clients import KafkaClients

STEP_SECONDS = 5.0
CLOSE_SECONDS = 1.0
WHERE = variable("kafka_bootstrap")
SECURITY = variable("kafka_security")
LOGIN = f"{variable('kafka_username')}, {variable('kafka_password')}"


class Unreached(Exception):
    """One address lets this process in no further; the message says why."""


class NoBroker(Unavailable):
    """No broker lets this process in; the message says why."""


async def explained(settings: Settings) -> NoBroker:
    """Try each address, and return why this process is not let in."""
    found: dict[str, str] = {}
    for host, port, _ in collect_hosts(list(settings.kafka.bootstrap)):
        try:
            await _enter(settings, host, port)
        except Unreached as error:
            found[f"{host}:{port}"] = str(error)
        else:
            found[f"{host}:{port}"] = "answers now"
    return NoBroker(in_words(found))


def in_words(found: Mapping[str, str]) -> str:
    """Return the reasons by address in one line; addresses with the same one are named together. Pure."""
    by_reason: dict[str, list[str]] = {}
    for address, reason in found.items():
        by_reason.setdefault(reason, []).append(address)
    reasons = [f"{', '.join(addresses)}: {reason}" for reason, addresses in by_reason.items()]
    return f"no broker lets us in ({WHERE}): {'; '.join(reasons)}"


async def _enter(settings: Settings, host: str, port: int) -> None:
    """Go as far as a client goes. Raises Unreached."""
    kafka = settings.kafka
    await _connect(host, port)
    if kafka.ssl_context is not None:
        await _shake_hands(kafka.ssl_context, host, port)
    with _said("the connection was closed"):
        try:
            await _log_in(settings.kafka, host, port)
        except (SaslAuthenticationFailed, AuthenticationFailedError):
            raise Unreached(
                f"refuses the login of {kafka.username} by {kafka.sasl_mechanism}: expected another"
                f" {LOGIN} or {variable('kafka_sasl_mechanism')}"
            ) from None
        except UnsupportedSaslMechanismError:
            raise Unreached(
                f"takes no login by {kafka.sasl_mechanism}: expected another"
                f" {variable('kafka_sasl_mechanism')}"
            ) from None
        except IllegalSaslStateError:
            raise Unreached(f"asks for no login: expected {SECURITY} {_without_login(kafka)}") from None
        except (KafkaError, OSError, TimeoutError):
            await _explain_closed(kafka, host, port)
            raise


async def _connect(host: str, port: int) -> None:
    with _said("no answer"):
        await _opened(host, port, None)


async def _opened(host: str, port: int, context: ssl.SSLContext | None) -> None:
    """Open a connection, with TLS where there is a context, and close it. Raises OSError, TimeoutError."""
    async with asyncio.timeout(STEP_SECONDS):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.transport.abort()
    with suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), CLOSE_SECONDS)


async def _shake_hands(context: ssl.SSLContext, host: str, port: int) -> None:
    try:
        await _opened(host, port, context)
    except ssl.SSLCertVerificationError as error:
        raise Unreached(
            f"shows a certificate that does not hold: {error.verify_message} (expected one for this name,"
            f" signed by {variable('kafka_ca_file')})"
        ) from None
    except (OSError, TimeoutError):
        raise Unreached(
            f"speaks no TLS there: expected {SECURITY} PLAINTEXT or SASL_PLAINTEXT, or another port"
        ) from None


async def _log_in(kafka: KafkaClients, host: str, port: int) -> None:
    """Connect as the client does, and ask for what it asks first."""
    options = kafka.client()
    options.pop("bootstrap_servers")
    connection = AIOKafkaConnection(
        host, port, client_id="tally", request_timeout_ms=round(STEP_SECONDS * 1_000), **options
    )
    try:
        await connection.connect()
        await connection.send(MetadataRequest([]))
    finally:
        closed = connection.close()
        if connection._protocol is not None:  # else nothing was opened
            with suppress(TimeoutError):
                await asyncio.wait_for(closed, CLOSE_SECONDS)


async def _explain_closed(kafka: KafkaClients, host: str, port: int) -> None:
    """Say which protocol the listener speaks instead, if that can be found out. Raises Unreached."""
    if kafka.ssl_context is None:
        if await _speaks_tls(host, port):
            raise Unreached(f"speaks TLS there: expected {SECURITY} SSL or SASL_SSL")
    elif not _has_login(kafka):
        raise Unreached(
            f"closes the connection: expected a login ({SECURITY} SASL_SSL) or a client certificate"
            f" ({variable('kafka_cert_file')})"
        )
    if not _has_login(kafka):
        raise Unreached(f"asks for a login: expected {SECURITY} SASL_PLAINTEXT")


async def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    # Nothing is sent over it: whether a certificate holds is no question yet.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        await _opened(host, port, context)
    except (OSError, TimeoutError):
        return False
    return True


def _has_login(kafka: KafkaClients) -> bool:
    return kafka.security.startswith("SASL")


def _without_login(kafka: KafkaClients) -> str:
    return kafka.security.removeprefix("SASL_")


@contextmanager
def _said(otherwise: str) -> Iterator[None]:
    """Turn an error of a step into words. Raises Unreached."""
    try:
        yield
    except Unreached:
        raise
    except TimeoutError:
        raise Unreached("no answer in time") from None
    except OSError as error:
        # A host that is not known has codes of its own.
        is_code_of_names = isinstance(error, socket.gaierror)
        said = error.strerror if is_code_of_names else os.strerror(error.errno) if error.errno else ""
        raise Unreached((said or otherwise).lower()) from None
    except KafkaError:
        raise Unreached(otherwise) from None
