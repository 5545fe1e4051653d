"""The settings of what answers over HTTP: where, under which names, to whom, and how often."""

import re
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from tally.streams.keys.sessions import LEAST_SECRET, MOST_SECRETS
from tally.streams.variables import by_commas

NAME_OF_HOST = re.compile(r"[A-Za-z0-9._-]+")
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+")


class WebSettings(BaseSettings):
    """Addresses, names and limits of the read API, and of the ports of metrics."""

    web_host: str = Field("127.0.0.1", description="address on which the read API listens")
    web_port: int = Field(6066, ge=1, le=65535, description="port of the read API")
    web_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="names under which read API, gateway and metrics are reached, separated by commas;"
        " localhost and addresses always are",
    )
    web_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins whose pages may ask, such as https://dash.example, separated by commas"
    )
    session_secret: SecretStr = Field(
        SecretStr(""),
        description="signs log-ins of pages, the same at every view: 32 characters or more; NEW,OLD while"
        " one replaces the other; without, log-ins end with the process",
    )
    reads_per_second: float = Field(
        100.0, ge=0.1, le=1e6, description="requests to the read API a second for each key, in each process"
    )
    reads_burst: int = Field(1_000, ge=1, le=10_000_000, description="and so many at once after a pause")
    posts_per_second: float = Field(
        100.0, ge=0.1, le=1e6, description="bodies of send results a second for each key, in each gateway"
    )
    posts_burst: int = Field(1_000, ge=1, le=10_000_000, description="and so many at once after a pause")
    export_seconds: float = Field(
        300.0,
        ge=1,
        le=86_400,
        description="longest that an export of lines may take: one that its client reads too slowly is cut",
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        description="key with which `tally audit --view`, `tally watch` and `tally explain` ask",
    )
    metrics_host: str = Field("127.0.0.1", description="address on which /metrics and /health are served")
    metrics_port: int = Field(6065, ge=1, le=65535, description="port of /metrics and /health of a worker")
    audit_metrics_port: int = Field(
        6068, ge=1, le=65535, description="port of /metrics and /health of `tally audit --every`"
    )

    @field_validator("web_hosts", "web_origins", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return by_commas(value)

    @field_validator("web_hosts")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(NAME_OF_HOST.fullmatch(one) for one in value):
            raise ValueError("expected names without scheme, port and path, such as tally.example.com")
        return value

    @field_validator("web_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # Browsers write an origin so, and compare it whole: another one would be refused for ever.
        if not all(ORIGIN.fullmatch(one) and one == one.lower() for one in value):
            raise ValueError(
                "expected scheme and name in lower case, without a path, such as https://dash.example"
            )
        return value

    @field_validator("session_secret")
    @classmethod
    def _signs(cls, value: SecretStr) -> SecretStr:
        secrets = _secrets_of(value)
        if len(secrets) > MOST_SECRETS or any(len(one) < LEAST_SECRET for one in secrets):
            raise ValueError(f"expected {LEAST_SECRET} characters or more, or two such, separated by a comma")
        return value

    @property
    def session_secrets(self) -> list[str]:
        """The secrets that sign log-ins: the one in use, then the one before it; none where none is set."""
        return _secrets_of(self.session_secret)


def _secrets_of(value: SecretStr) -> list[str]:
    return [part for one in value.get_secret_value().split(",") if (part := one.strip())]
