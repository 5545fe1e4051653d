"""The settings with which every process reaches the brokers."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

from tally.streams.variables import variable
from tally.tables.kafka.clients import KafkaClients

FILES = ("kafka_ca_file", "kafka_cert_file", "kafka_key_file")
LOGIN = ("kafka_username", "kafka_password", "kafka_sasl_mechanism")


class KafkaSettings(BaseSettings):
    """Where the brokers are, and how this process logs in."""

    kafka_bootstrap: str = Field(
        "127.0.0.1:19092", description="Kafka brokers, host:port separated by commas"
    )
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="protocol towards the brokers"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="how to log in where the protocol is a SASL one"
    )
    kafka_username: str = Field("", description="SASL user name")
    kafka_password: SecretStr = Field(SecretStr(""), description="SASL password")
    kafka_ca_file: Path | None = Field(None, description="CA certificates for SSL; the system's without")
    kafka_cert_file: Path | None = Field(None, description="client certificate for SSL, and its key")
    kafka_key_file: Path | None = Field(None, description="that key, where the certificate's file has none")

    @field_validator(*FILES, mode="before")
    @classmethod
    def _no_file(cls, value: object) -> object:
        """Take the empty text for no file: else it would be the folder that the process is in."""
        return value or None

    @model_validator(mode="after")
    def _can_reach_kafka(self) -> Self:
        """Refuse settings that would otherwise fail a minute later, after the wait for brokers.

        What nothing reads is refused too: whoever names a certificate thinks that it is shown.
        """
        if troubles := [*self._missing(), *self._idle()]:
            raise ValueError("; ".join(troubles))
        if self._has_tls:
            self._ssl_context()
        return self

    @property
    def kafka(self) -> KafkaClients:
        """The factory of all Kafka clients."""
        return KafkaClients(
            tuple(self.kafka_bootstrap.split(",")),
            self.kafka_security,
            self._ssl_context() if self._has_tls else None,
            self.kafka_sasl_mechanism,
            self.kafka_username,
            self.kafka_password.get_secret_value(),
        )

    @property
    def _has_login(self) -> bool:
        return self.kafka_security.startswith("SASL")

    @property
    def _has_tls(self) -> bool:
        return self.kafka_security.endswith("SSL")

    def _missing(self) -> Iterator[str]:
        """Yield what is needed and not given."""
        if self._has_login:
            given = (self.kafka_username, self.kafka_password.get_secret_value())
            for name, value in zip(LOGIN, given, strict=False):
                if not value:
                    yield f"{variable(name)}: is needed, since {variable('kafka_security')} says so"

    def _idle(self) -> Iterator[str]:
        """Yield what is given and of no use without another setting."""
        security = variable("kafka_security")
        if not self._has_login:
            for name in filter(self._is_given, LOGIN):
                yield f"{variable(name)}: is of no use unless {security} is SASL_PLAINTEXT or SASL_SSL"
        if not self._has_tls:
            for name in filter(self._is_given, FILES):
                yield f"{variable(name)}: is of no use unless {security} is SSL or SASL_SSL"
        elif self.kafka_key_file is not None and self.kafka_cert_file is None:
            yield f"{variable('kafka_key_file')}: is of no use without {variable('kafka_cert_file')}"

    def _is_given(self, name: str) -> bool:
        value = getattr(self, name)
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        return name in self.model_fields_set and bool(plain)

    def _ssl_context(self) -> ssl.SSLContext:
        """Return the TLS context of connections. Raises ValueError if a file cannot be read."""
        for name in FILES:
            _check_readable(name, getattr(self, name))
        try:
            context = ssl.create_default_context(cafile=self.kafka_ca_file)
        except ssl.SSLError:
            raise ValueError(f"{variable('kafka_ca_file')}: expected certificates in PEM") from None
        if self.kafka_cert_file:
            holds_key = "kafka_cert_file" if self.kafka_key_file is None else "kafka_key_file"
            try:
                context.load_cert_chain(self.kafka_cert_file, self.kafka_key_file, _no_password(holds_key))
            except ssl.SSLError:
                raise ValueError(
                    f"{variable('kafka_cert_file')}: expected a certificate in PEM, and its key there or in"
                    f" {variable('kafka_key_file')}"
                ) from None
        return context


def _check_readable(name: str, path: Path | None) -> None:
    """Check that a file can be read. Raises ValueError; it says why, without its path or contents."""
    try:
        if path is not None:
            path.open("rb").close()
    except OSError as error:
        raise ValueError(f"{variable(name)}: {error.strerror or type(error).__name__}") from None


def _no_password(name: str) -> Callable[[], str]:
    """Return what replaces OpenSSL's password prompt, at which a process without a terminal would hang."""

    def refuse() -> str:
        raise ValueError(f"{variable(name)}: the key is encrypted; give one without a pass phrase")

    return refuse
