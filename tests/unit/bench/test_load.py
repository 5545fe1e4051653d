"""The load and the probes: real bodies, and counts that never say more than was published."""

import orjson
import pytest

from bench.load import Message, Size, _written, load, reply_form, status_form
from bench.probes import Track, note
from bench.processes import CHILD, name_in
from tally.simulator.records import WEBHOOK_EVENTS
from tally.simulator.samples import value_of

MESSAGE = Message(
    7, "t", "c", ("promo", "en"), "106540350000001", "5511900000007", "wamid.a/b+c==", at_s=1_762_000_000
)


@pytest.mark.parametrize("status", ["sent", "delivered", "read", "failed"])
def test_a_status_is_a_real_body_with_the_messages_own_words(status: str) -> None:
    record = _written(status_form(status), MESSAGE, MESSAGE.wamid, 1_762_000_009)
    value = value_of(orjson.loads(record.value or b""))
    (found,) = value["statuses"]

    assert record.topic == WEBHOOK_EVENTS
    assert found["status"] == status
    assert (found["id"], found["timestamp"]) == (MESSAGE.wamid, "1762000009")
    assert found["recipient_id"] == MESSAGE.phone
    assert value["metadata"] == {
        "display_phone_number": MESSAGE.number[-11:],
        "phone_number_id": MESSAGE.number,
    }


def test_a_reply_is_of_the_messages_customer() -> None:
    record = _written(reply_form(), MESSAGE, "wamid.reply", 1_762_000_009)
    value = value_of(orjson.loads(record.value or b""))

    assert value["messages"][0]["from"] == value["contacts"][0]["wa_id"] == MESSAGE.phone
    assert b"<" not in (record.value or b"")


def test_a_load_of_so_many_events_has_them() -> None:
    assert len(load(Size.of_events(20_000), seed=3)) >= 20_000


def test_a_load_is_the_same_whenever_it_is_made() -> None:
    assert load(Size(100), seed=3) == load(Size(100), seed=3) != load(Size(100), seed=4)


def test_a_probe_is_seen_where_its_track_is_counted() -> None:
    track = Track(0, "seen", published=2)

    note({track.template: track}, {track.template: 1})
    assert track.seen == 1
    assert track.changed.is_set()


def test_a_probe_that_is_counted_twice_is_an_error() -> None:
    track = Track(0, "seen", published=1)

    with pytest.raises(AssertionError, match="2 probes are counted, 1 were published"):
        note({track.template: track}, {track.template: 2})


def test_a_process_of_a_worker_is_named_by_its_roles() -> None:
    assert name_in(["python", "-m", CHILD, "fold,view", "5"], "parent") == "fold,view"
    assert name_in(["python", "-m", "tally.streams.processes", "{}"], "parent") == "parent"
