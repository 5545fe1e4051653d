"""Calls of a campaign: what a dialer asks of the PBX, and what it tells of that in its send results."""

import json
import time
from dataclasses import dataclass, field
from uuid import uuid4

from tests.asterisk.instance import Pbx
from tests.asterisk.session import AmiSession

CALL_OVER_SECONDS = 40.0
TENANT, CAMPAIGN = "acme", "4001"

TRUNK = "PJSIP/{}@carrier"
LOCAL = "Local/{}@outbound/n"

# Who is called tells what happens: config/carrier/extensions.conf.
WAITS, HANGS_UP, BUSY, CONGESTED, RINGS, REJECTS = (f"1555555010{digit}" for digit in range(1, 7))


@dataclass(frozen=True)
class Call:
    """One attempt to reach one contact."""

    number: str
    context: str = "campaign-answered"
    via: str = TRUNK
    timeout_ms: int = 30_000
    contact: str = field(default_factory=lambda: uuid4().hex[:12])
    by_channel_id: bool = True
    """Whether the dialer chooses the channel's Uniqueid itself."""

    @property
    def action_id(self) -> str:
        return f"{CAMPAIGN}-{self.contact}-1"

    def requested(self, pbx: Pbx) -> bytes:
        """Return the send result that goes out before the Originate."""
        body = {
            "tenant": TENANT,
            "channel": "voice",
            "campaign": CAMPAIGN,
            "contact": {"id": self.contact, "phone": self.number},
            "outcome": "requested",
            "pbx": pbx.name,
            "call": {"action_id": self.action_id, **self._channel_id("channel_id")},
            "time": time.time_ns() // 1_000_000,
        }
        return json.dumps(body).encode()

    async def originate(self, session: AmiSession) -> None:
        variables = {"CAMPAIGN_ID": CAMPAIGN, "CONTACT_ID": self.contact, "ATTEMPT_ID": "1"}
        await session.send(
            "Originate",
            [
                ("ActionID", self.action_id),
                ("Channel", self.via.format(self.number)),
                *self._channel_id("ChannelId").items(),
                ("Context", self.context),
                ("Exten", "s"),
                ("Priority", "1"),
                ("Timeout", str(self.timeout_ms)),
                ("CallerID", "Campaign <15555550100>"),
                ("Async", "true"),
                *(("Variable", f"__{name}={value}") for name, value in variables.items()),
            ],
        )

    def _channel_id(self, name: str) -> dict[str, str]:
        return {name: self.contact} if self.by_channel_id else {}

    async def ringing(self, session: AmiSession) -> str:
        """Wait until the contact's phone rings and return the channel's name."""
        state = {"Uniqueid": self.contact, "ChannelStateDesc": "Ringing"}
        await session.until(lambda: bool(session.named("Newstate", **state)), CALL_OVER_SECONDS)
        return session.named("Newstate", **state)[0]["Channel"]

    async def over(self, session: AmiSession) -> None:
        """Wait until the Originate has ended and every channel that ever was has hung up."""

        def done() -> bool:
            began = {event["Uniqueid"] for event in session.named("Newchannel")}
            ended = {event["Uniqueid"] for event in session.named("Hangup")}
            return bool(session.named("OriginateResponse", ActionID=self.action_id)) and began == ended

        await session.until(done, CALL_OVER_SECONDS)
