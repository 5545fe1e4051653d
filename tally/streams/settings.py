"""All settings of Tally: environment variables with the prefix `TALLY_`, read once into a frozen object."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from tally.agents.sink.ports import SinkConfig
from tally.schemas.call_facts import VariableRole
from tally.schemas.conventions import VARIABLES, Conventions
from tally.schemas.topics import Names
from tally.streams.ami.pbx import Pbxs
from tally.streams.gateway.apps import Apps
from tally.streams.kafka_settings import KafkaSettings
from tally.streams.variables import PREFIX, by_commas, unknown, variable
from tally.streams.web_settings import WebSettings
from tally.tables.rules import Rules

__all__ = ["ROLES", "Role", "Settings", "SettingsError", "load", "variable"]

SINK = SinkConfig()
"""Source of the sink's defaults, so each has one definition."""
Role = Literal["route", "fold", "sink", "view"]
ROLES: tuple[Role, ...] = ("route", "fold", "sink", "view")


class SettingsError(Exception):
    """The environment is not a valid configuration; the message names each setting, never its value."""


class Settings(WebSettings, KafkaSettings):
    """The configuration of one process."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    postgres_dsn: SecretStr = Field(
        SecretStr("postgresql://tally@127.0.0.1:15432/tally"), description="where the counters are copied to"
    )
    postgres_pool_size: int = Field(
        SINK.partitions_at_once, ge=1, le=100, description="connections to Postgres at most"
    )

    topic_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="common prefix of all topics, groups and transactional ids",
    )
    generation: int = Field(1, ge=1, description="raised when the facts log or its partition count changes")
    partitions: int = Field(2, ge=1, le=1000, description="partitions of topics that are declared anew")
    replication_factor: int = Field(
        3,
        ge=1,
        le=9,
        description="replicas that every topic must have at least, and gets when it is declared",
    )

    compaction_lag_seconds: int = Field(
        7_200,
        ge=10,
        le=30 * 86_400,
        description="age from which Kafka may compact a record of a changelog; what is younger is read whole",
    )

    brokers: int = Field(
        1,
        ge=1,
        le=5,
        description="embedded brokers that `make up` and `make demo` start; several are a cluster",
    )

    roles: Annotated[tuple[Role, ...], NoDecode] = Field(
        ROLES, description="what this process does, separated by commas"
    )
    processes: int | None = Field(
        None,
        ge=1,
        le=3,
        description="processes of a worker at most: 2 sets `route` apart, 3 `view` too; without, 2 where it"
        " may use two cores",
    )
    state_folder: Path = Field(Path(".tally/state"), description="where the local copies of states are kept")

    gateway_apps: Apps = Field(
        (), description="apps of Meta whose webhooks `tally gateway` takes: a JSON list (docs/gateway.md)"
    )
    gateway_host: str = Field("127.0.0.1", description="address on which `tally gateway` listens")
    gateway_port: int = Field(6069, ge=1, le=65535, description="port for webhooks and send results")
    gateway_metrics_port: int = Field(
        6070, ge=1, le=65535, description="port of /metrics and /health of `tally gateway`"
    )
    gateway_bytes: int = Field(
        24 << 20, ge=8 << 20, description="bytes of bodies under way at most; beyond, it answers 503"
    )

    ami_pbxs: Pbxs = Field(
        (), description="PBXs that `tally ami` reads: a JSON list of objects (docs/ami.md)"
    )
    ami_metrics_port: int = Field(
        6067, ge=1, le=65535, description="port of /metrics and /health of `tally ami`"
    )
    ami_buffer_records: int = Field(
        50_000, ge=100, le=10_000_000, description="events of one PBX that wait for Kafka at most"
    )
    ami_buffer_bytes: int = Field(64 << 20, ge=1 << 20, description="or so many bytes of them")
    call_variables: Annotated[dict[str, VariableRole], NoDecode] = Field(
        dict(VARIABLES),
        description="channel variables that name an attempt, as variable=role separated by commas; roles are"
        " campaign, contact, attempt, script, tenant and amd",
    )
    amd_event: str = Field(
        "", description="UserEvent whose field Status tells human from machine, beside the variable"
    )
    operator_scripts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="voice scripts whose answered calls are meant for an operator, separated by commas"
    )
    unknown_is_human: bool = Field(
        False, description="whether answered calls without a verdict count as answered by a person"
    )

    reply_window_seconds: int = Field(
        7 * 86_400, ge=1, description="how long after an accepted send an inbound message is its reply"
    )
    session_timeout_seconds: float = Field(
        6.0, ge=1, le=300, description="silence after which the group gives a worker's partitions away"
    )
    batch_records: int = Field(500, ge=1, le=100_000, description="records that one run hands to an agent")
    batch_facts: int = Field(5_000, ge=1, le=100_000, description="facts that one transaction counts at most")
    memory_mb: int = Field(
        128,
        ge=16,
        le=1 << 20,
        description="memory that the local copies of the worker's partitions share, for reading and writing",
    )
    outstanding_runs: int = Field(
        2, ge=1, le=100, description="runs of raw events under way for one partition at most"
    )
    fetch_wait_seconds: float = Field(
        0.05, ge=0, le=5, description="how long an idle fetch waits at the broker"
    )
    linger_seconds: float = Field(
        0.008,
        ge=0,
        le=5,
        description="how long a fetch lingers at the broker for 20 kB while records flow",
    )
    commit_seconds: float = Field(
        0.2, ge=0.05, le=10, description="how often the group's offsets are committed"
    )
    sink_seconds: float = Field(
        SINK.interval_seconds, ge=0.05, le=600, description="how often what has changed goes to Postgres"
    )
    sink_rows: int = Field(
        SINK.bounds.most_entries,
        ge=1,
        le=100_000,
        description="or once so many rows have; more than that are several transactions",
    )
    ledger: bool = Field(
        False, description="whether Postgres gets the lines behind each number: who it is (docs/ledger.md)"
    )
    ledger_phones: bool = Field(
        True, description="whether lines have phones, and ids of messages that hold them"
    )
    lag_seconds: float = Field(0.2, ge=0.02, le=60, description="how often lag is measured")
    live_lag_seconds: float = Field(
        2.0, ge=0.1, le=3600, description="lag up to which numbers are called live"
    )
    stuck_seconds: float = Field(
        60.0, ge=1, le=3600, description="work without progress for so long is not alive"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level to log")
    log_format: Literal["auto", "pretty", "json"] = Field(
        "auto", description="pretty on a terminal and JSON elsewhere, or always one of them"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - given by name
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` was given, and nothing of the process's environment beside it."""
        return (init_settings,)

    @field_validator("roles", "operator_scripts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return by_commas(value)

    @field_validator("roles")
    @classmethod
    def _does_something(cls, value: tuple[Role, ...]) -> tuple[Role, ...]:
        if not value:
            raise ValueError(f"expected some of {', '.join(ROLES)}, separated by commas")
        return tuple(dict.fromkeys(value))

    @field_validator("call_variables", mode="before")
    @classmethod
    def _split_variables(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [entry.partition("=") for entry in value.split(",") if entry.strip()]
        return {name.strip().lstrip("_"): role.strip() for name, _, role in pairs}

    @field_validator("postgres_dsn")
    @classmethod
    def _is_url(cls, value: SecretStr) -> SecretStr:
        if urlsplit(value.get_secret_value()).scheme not in ("postgres", "postgresql"):
            raise ValueError("expected postgresql://user:password@host:port/database")
        return value

    @property
    def names(self) -> Names:
        """Names of topics and groups."""
        return Names(self.topic_prefix, self.generation)

    @property
    def rules(self) -> Rules:
        """The rules by which states become counters."""
        return Rules(self.reply_window_seconds, self.operator_scripts, self.unknown_is_human)

    @property
    def conventions(self) -> Conventions:
        """The conventions by which route reads AMI events."""
        return Conventions(dict(self.call_variables), self.amd_event)

    def shown(self) -> list[tuple[str, str, str]]:
        """Return every setting as (environment variable, value, help line); secrets are redacted."""
        return [
            (variable(name), _shown(getattr(self, name)), field.description or "")
            for name, field in type(self).model_fields.items()
        ]


def load(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings. Raises SettingsError if one is unknown, malformed or out of range."""
    environment = os.environ if environment is None else environment
    known = {variable(name) for name in Settings.model_fields}
    if nobodys := unknown(environment, known):
        raise SettingsError(f"unknown settings: {', '.join(nobodys)}; `tally config` lists all")
    given = {
        name: environment[variable(name)] for name in Settings.model_fields if variable(name) in environment
    }
    try:
        return Settings.model_validate({**given, **overrides})
    except ValidationError as error:
        raise SettingsError("; ".join(_problems(error))) from None


def _problems(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_input=False, include_url=False):
        if not problem["loc"]:
            yield problem["msg"].removeprefix("Value error, ")
            continue
        name, *path = map(str, problem["loc"])
        where = f" at {'.'.join(path)}" if path else ""
        yield f"{variable(name)}{where}: {problem['msg'].removeprefix('Value error, ')}"


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(secret)" if value.get_secret_value() else ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return ",".join(f"{name}={role}" for name, role in value.items())
    return "" if value is None else str(value)
