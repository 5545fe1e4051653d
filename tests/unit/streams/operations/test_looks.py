"""Doctor says at which numbers messages wait though their sends are at other ones."""

from tally.schemas.facts import Claim, Claimed, MessageFact, StatusSeen
from tally.schemas.wamids import message_key
from tally.streams.operations.looks import Census, Moved
from tally.tables.families.message import MessageFamily
from tests.unit.schemas.test_wamids import SENT

FAMILY = MessageFamily()
READ = StatusSeen("read", 5)
CLAIMED = Claimed(Claim(1_000, "t1", "c1"))
ECHO = Claimed(Claim(1_000))


def state(*facts: MessageFact) -> bytes:
    return FAMILY.encode(FAMILY.merge(None, facts))


def moved(wamid: str, *there: bytes | None) -> str:
    """Return what is said of a message that waits at `new`, by its states at `old`, one after the other."""
    census = Census()
    census.apply(message_key("new", wamid), state(READ))
    found = Moved.of(census.waiting)
    for value in there:
        found.apply(message_key("old", wamid), value)
    found.apply(message_key("new", wamid), state(READ))
    found.apply(message_key("old", "wamid.other"), state(CLAIMED))
    return str(found)


def test_a_waiting_message_whose_token_is_sent_at_another_number_is_named_by_both() -> None:
    assert moved(SENT, state(CLAIMED)).startswith("1 at new, sent at old; if these are ids of one number")
    assert moved(SENT, state(READ), state(READ, CLAIMED)).startswith("1 at new, sent at old")


def test_no_other_message_is() -> None:
    assert moved(SENT) == "none"
    assert moved(SENT, state(READ)) == "none"
    assert moved(SENT, state(ECHO)) == "none"
    assert moved(SENT, state(CLAIMED), None) == "none"
    # Without a token an id may be another message's at each number.
    assert moved("wamid.1", state(CLAIMED)) == "none"
