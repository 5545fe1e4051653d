"""What AMI events say about operators as members of queues; source: Asterisk's apps/app_queue.c."""

from tally.schemas.ami.channels import number
from tally.schemas.ami.moment import Moment
from tally.schemas.ami.packet import Packet, queue_name
from tally.schemas.bounds import OPERATOR_TEXT
from tally.schemas.call_facts import MemberSeen
from tally.schemas.errors import BadEvent
from tally.schemas.fields import MAX_ID, MAX_META_ID, TEXT, checked_text


def member_seen(event: str, packet: Packet, at: Moment, tenant: str) -> MemberSeen:
    """Return an operator's membership of a queue. Raises BadEvent `missing_field`, `bad_id`.

    Lists name the interface `Location` and the operator `Name`, events `Interface` and `MemberName`.
    """
    interface = packet.get("interface") or packet.get("location")
    queue = packet.get("queue")
    if not interface or not queue:
        raise BadEvent("missing_field", "$.Queue" if interface else "$.Interface", TEXT)
    return MemberSeen(
        checked_text(interface, "$.Interface", MAX_ID),
        queue_name(checked_text(queue, "$.Queue", MAX_META_ID)),
        at.us,
        tenant,
        _text(packet.get("membername") or packet.get("name")),
        number(packet, "status"),
        packet.get("paused") == "1",
        _text(packet.get("pausedreason")),
        packet.get("incall") == "1",
        number(packet, "lastcall"),
        number(packet, "wrapuptime"),
        removed=event == "QueueMemberRemoved",
    )


def _text(value: str) -> str:
    return value.replace("\0", "")[: OPERATOR_TEXT.most]
