"""File permissions, and warnings at start about settings that expose data to others."""

import os
from ipaddress import ip_address
from pathlib import Path

from tally.streams.settings import Settings, variable

PRIVATE_UMASK = 0o077
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def keep_private() -> None:
    """Make all files that this process creates from now on private to its user: states hold phones."""
    os.umask(PRIVATE_UMASK)


def private_folder(folder: Path) -> Path:
    """Create a folder if it is missing, restrict access to its owner, and return it."""
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    folder.chmod(PRIVATE_FOLDER)
    return folder


def exposed(settings: Settings) -> list[str]:
    """Return warnings about what a worker with these settings exposes."""
    found = []
    if not _is_loopback(settings.web_host):
        found.append(
            f"{variable('web_host')} is {settings.web_host}: keys and numbers travel in the clear; put a"
            " proxy with TLS before it"
        )
    if settings.kafka_security == "SASL_PLAINTEXT" and settings.kafka_sasl_mechanism == "PLAIN":
        found.append(f"{variable('kafka_security')} is SASL_PLAINTEXT: the password travels in the clear")
    return found


def exposed_pbxs(settings: Settings) -> list[str]:
    """Return warnings about what a collector with these settings exposes."""
    found = []
    for pbx in settings.ami_pbxs:
        if pbx.tls and not pbx.verify:
            found.append(f"PBX {pbx.name}: its certificate is not checked, so that anybody may pose as it")
        if not pbx.tls and pbx.auth == "plain" and not _is_loopback(pbx.host):
            found.append(f"PBX {pbx.name}: the secret travels in the clear; set tls, or auth to md5")
    return found


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
