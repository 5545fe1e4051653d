"""What is said in a session: login, filters, lists of what there is, and then Ping and sweeps."""

import math
from collections.abc import Mapping
from typing import NoReturn, Protocol

from tally.streams.ami.login import add_filters, log_in, refusal
from tally.streams.ami.pbx import Pbx
from tally.streams.ami.session import Session
from tally.streams.ami.timing import Timing, World

SWEEP = "CoreShowChannels"
AFTER_LOGIN = (SWEEP, "QueueStatus")
"""There is no replay: what happened before the login can only be asked for."""


class Listener(Protocol):
    """Who wants to know how it goes."""

    def opened(self, banner: str) -> None:
        """The PBX has let us in; events flow."""

    def refused(self, actions: Mapping[str, str]) -> None:
        """The PBX does not do these actions, for the reasons that it gives."""


async def converse(session: Session, pbx: Pbx, world: World, timing: Timing, listener: Listener) -> NoReturn:
    """Log in and keep the session; only an error ends it."""
    seconds = timing.answer_seconds
    await log_in(session, pbx, seconds)
    listener.opened(session.banner)
    listener.refused(await add_filters(session, pbx, seconds))
    for name in AFTER_LOGIN:
        listener.refused(await _list(session, name, seconds))
    await _keep(session, pbx, world, timing, listener)


async def _keep(session: Session, pbx: Pbx, world: World, timing: Timing, listener: Listener) -> NoReturn:
    ping_at = world.seconds() + timing.ping_seconds
    sweep_at = world.seconds() + pbx.sweep_seconds
    while True:
        await session.pause(max(0.0, min(ping_at, sweep_at) - world.seconds()))
        if world.seconds() >= ping_at:
            ping_at = world.seconds() + timing.ping_seconds
            await session.ask("Ping", seconds=timing.pong_seconds)
        if world.seconds() >= sweep_at:
            refused = await _list(session, SWEEP, timing.answer_seconds)
            listener.refused(refused)
            # What was refused once is refused until the next login.
            sweep_at = math.inf if refused else world.seconds() + pbx.sweep_seconds


async def _list(session: Session, name: str, seconds: float) -> dict[str, str]:
    message = refusal(await session.ask_for_list(name, seconds))
    return {name: message} if message else {}
