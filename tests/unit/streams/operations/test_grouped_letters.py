"""Dead letters are grouped by what is wrong with them, which their details say."""

import pytest

from tally.schemas.errors import Bad, Reason
from tally.schemas.records import Routed
from tally.streams.operations.dead_letters import REPLAY_OF, StoredDeadLetter
from tally.streams.operations.grouped_letters import Group, groups_of
from tally.streams.operations.replay import LeftOut, record_of
from tally.tables.kafka.dead_letters import detail_of

TOPICS = {"x-ami-events": "ami-events"}


def letter(
    *bad: Bad, reason: Reason = "wrong_type", origin: str = "x-ami-events/0/7", **more: object
) -> StoredDeadLetter:
    detail = detail_of(Routed(bad=list(bad), refused=len(bad)))
    made = {"origin": origin, "reason": reason, "detail": detail, "at_ms": 1, "key": b"k", "value": b"v"}
    return StoredDeadLetter(**{**made, "size_bytes": 1, **more})  # type: ignore[arg-type]  # fields by name


def test_a_letter_is_in_the_group_of_each_of_its_parts_wherever_in_a_list_they_stand() -> None:
    found = groups_of(
        letter(
            Bad("bad_time", "$.entry[0].changes[1].value.statuses[17].timestamp", "unix seconds"),
            Bad("bad_time", "$.entry[0].changes[1].value.statuses[18].timestamp", "unix seconds"),
            Bad("missing_field", "$.contact.phone", "one of phone, wa_id, user_id"),
        )
    )

    assert found == {
        Group("x-ami-events", "bad_time", "$.entry[].changes[].value.statuses[].timestamp", "unix seconds"),
        Group("x-ami-events", "missing_field", "$.contact.phone", "one of phone, wa_id, user_id"),
    }


def test_letters_of_batches_are_one_group_whatever_their_offsets_are() -> None:
    batches = [letter(Bad("bad_batch", f"a batch, offsets {n} to {n + 5}", "one")) for n in (3, 9)]

    assert (
        groups_of(batches[0])
        == groups_of(batches[1])
        == {Group("x-ami-events", "bad_batch", "a batch", "one")}
    )


def test_a_letter_whose_detail_names_no_part_is_in_the_group_of_its_reason() -> None:
    error = letter(reason="code_failure", detail="KeyError in merge at (7); and 3 more")

    assert groups_of(error) == {Group("x-ami-events", "code_failure", "", "")}


def test_a_record_is_published_again_as_it_was_with_its_headers_and_the_name_of_its_letter() -> None:
    record = record_of(letter(headers=(("pbx", b"p1"), ("tenant", None))), TOPICS)

    assert not isinstance(record, str)
    assert (record.topic, record.key, record.value) == ("ami-events", b"k", b"v")
    assert record.headers == (("pbx", b"p1"), ("tenant", None), (REPLAY_OF, b"x-ami-events/0/7"))


def test_a_record_that_is_bad_again_keeps_the_name_of_its_first_letter() -> None:
    again = letter(origin="x-ami-events/0/99", headers=(("pbx", b"p1"), (REPLAY_OF, b"x-ami-events/0/7")))

    record = record_of(again, TOPICS)

    assert again.name == "x-ami-events/0/7"
    assert not isinstance(record, str)
    assert record.headers == (("pbx", b"p1"), (REPLAY_OF, b"x-ami-events/0/7"))


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (letter(reason="code_failure", origin="facts-g1/0/1"), "facts"),
        (letter(Bad("too_large", "a batch, offset 7", "less"), reason="too_large"), "batches"),
        (letter(sha256="ab", size_bytes=5_000_000), "kept in part"),
        (letter(is_without_headers=True), "kept in part"),
        (letter(key=b"k" * 4_096), "kept in part"),
        (letter(origin="y-ami-events/0/7"), "of another topic"),
    ],
)
def test_what_is_not_kept_whole_is_not_published_again(kept: StoredDeadLetter, why: LeftOut) -> None:
    assert record_of(kept, TOPICS) == why
