"""Embedded servers, the default: real Apache Kafka and PostgreSQL, on a machine with only Python."""

from tally.deploy.local.cluster import LocalCluster
from tally.deploy.local.errors import (
    ChecksumMismatch,
    DownloadFailed,
    FolderBusy,
    LocalServerError,
    PortTaken,
    PreparationFailed,
    ServerDidNotStart,
    UnsupportedPlatform,
)
from tally.deploy.local.kafka import LocalKafka
from tally.deploy.local.postgres import LocalPostgres
from tally.deploy.local.server import LocalServer
from tally.deploy.local.servers import LocalServers

__all__ = [
    "ChecksumMismatch",
    "DownloadFailed",
    "FolderBusy",
    "LocalCluster",
    "LocalKafka",
    "LocalPostgres",
    "LocalServer",
    "LocalServerError",
    "LocalServers",
    "PortTaken",
    "PreparationFailed",
    "ServerDidNotStart",
    "UnsupportedPlatform",
]
