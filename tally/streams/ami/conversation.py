"""The actions of a session: login, filters, initial lists, then Ping and resyncs."""

import math
from collections.abc import Mapping
from typing import NoReturn, Protocol

from tally.schemas.ami.packet import Packet
from tally.streams.ami.errors import LoginRefused
from tally.streams.ami.framing import digest
from tally.streams.ami.pbx import Pbx
from tally.streams.ami.ports import CollectorConfig, CollectorPorts
from tally.streams.ami.session import Session

MESSAGE_CHARACTERS = 200
"""Longest part of a server's message that is shown."""


async def log_in(session: Session, pbx: Pbx, seconds: float) -> None:
    """Log in, plain or by MD5 challenge. Raises LoginRefused.

    The login also selects the classes of events: selected later, FullyBooted would be missed.
    """
    await session.greeted(seconds)
    secret = _secret(pbx)
    proof = await _proof(session, pbx, secret, seconds)
    fields = [("Username", pbx.username), *proof, ("Events", pbx.events)]
    try:
        answer = await session.ask("Login", *fields, seconds=seconds)
    except ValueError as error:
        raise LoginRefused(f"the login cannot be sent: {error}") from None
    if refused := refusal(answer, secret):
        raise LoginRefused(f"the PBX refuses the login: {refused}")
    if answer.get("response").lower() != "success":
        raise LoginRefused("the PBX answers the login with neither Success nor Error")


async def add_filters(session: Session, pbx: Pbx, seconds: float) -> dict[str, str]:
    """Add each filter of the PBX; return the refused ones with the reason."""
    refused = {}
    for line in pbx.filters:
        answer = await session.ask("Filter", ("Operation", "Add"), ("Filter", line), seconds=seconds)
        if message := refusal(answer):
            refused[f"Filter {line}"] = message
    return refused


def refusal(answer: Packet, secret: str = "") -> str:
    """Return a server's reason for a refusal, with an echoed secret masked; empty if it does not refuse."""
    if answer.get("response").lower() != "error":
        return ""
    message = answer.get("message")
    shown = message.replace(secret, "***") if secret else message
    return shown[:MESSAGE_CHARACTERS] or "no reason given"


async def _proof(session: Session, pbx: Pbx, secret: str, seconds: float) -> list[tuple[str, str]]:
    if pbx.auth == "plain":
        return [("Secret", secret)]
    answer = await session.ask("Challenge", ("AuthType", "MD5"), seconds=seconds)
    if refused := refusal(answer, secret):
        raise LoginRefused(f"the PBX refuses a challenge: {refused}")
    if not answer.get("challenge"):
        raise LoginRefused("the PBX gives no challenge: the key would be the secret's own digest")
    return [("AuthType", "MD5"), ("Key", digest(answer.get("challenge"), secret))]


def _secret(pbx: Pbx) -> str:
    try:
        secret = pbx.read_secret()
    except (OSError, ValueError) as error:
        raise LoginRefused(f"the secret cannot be read: {type(error).__name__}") from None
    if not secret:
        raise LoginRefused("the file of the secret is empty")
    return secret


RESYNC = "CoreShowChannels"
AFTER_LOGIN = (RESYNC, "QueueStatus")
"""AMI has no replay, so these lists are requested to learn the state at login."""


class SessionObserver(Protocol):
    """Observer of a session."""

    def opened(self, banner: str) -> None:
        """The PBX has accepted the login; events flow."""

    def refused(self, actions: Mapping[str, str]) -> None:
        """The PBX has refused these actions; the values are its reasons."""


async def converse(
    session: Session, pbx: Pbx, ports: CollectorPorts, config: CollectorConfig, observer: SessionObserver
) -> NoReturn:
    """Log in and keep the session open; only an error ends it."""
    seconds = config.answer_seconds
    await log_in(session, pbx, seconds)
    observer.opened(session.banner)
    observer.refused(await add_filters(session, pbx, seconds))
    for name in AFTER_LOGIN:
        observer.refused(await _list(session, name, seconds))
    await _keep(session, pbx, ports, config, observer)


async def _keep(
    session: Session, pbx: Pbx, ports: CollectorPorts, config: CollectorConfig, observer: SessionObserver
) -> NoReturn:
    ping_at = ports.seconds() + config.ping_seconds
    resync_at = ports.seconds() + pbx.resync_seconds
    while True:
        await session.pause(max(0.0, min(ping_at, resync_at) - ports.seconds()))
        if ports.seconds() >= ping_at:
            ping_at = ports.seconds() + config.ping_seconds
            await session.ask("Ping", seconds=config.pong_seconds)
        if ports.seconds() >= resync_at:
            refused = await _list(session, RESYNC, config.answer_seconds)
            observer.refused(refused)
            # A PBX that refused the list once refuses it until the next login.
            resync_at = math.inf if refused else ports.seconds() + pbx.resync_seconds


async def _list(session: Session, name: str, seconds: float) -> dict[str, str]:
    message = refusal(await session.ask_for_list(name, seconds))
    return {name: message} if message else {}
