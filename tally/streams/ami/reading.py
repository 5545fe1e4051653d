"""What a frame is: a packet, or nonsense and why. Pure."""

from typing import Literal

from tally.schemas.ami.packet import Packet, read_packet
from tally.streams.ami.framing import Frame, is_command_output

Nonsense = Literal["too_large", "no_fields", "no_event"]


def read_frame(frame: Frame) -> Packet | Nonsense:
    """Return an event or a response; for anything else, why it is neither."""
    if not frame.whole:
        return "too_large"
    if is_command_output(frame.raw):
        return Packet([("Response", "Follows")])
    try:
        # Whether the text is readable is for the readers of the topic to judge.
        packet = read_packet(frame.raw.decode("utf-8", "replace"))
    except ValueError:
        return "no_fields"
    return packet if "event" in packet or "response" in packet else "no_event"
