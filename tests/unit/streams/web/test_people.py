"""What keys without the scope `recipients` learn of people: no more than a masked phone."""

import pytest

from tally.streams.web.cursors import of_line
from tally.streams.web.parameters import BadParameter
from tally.streams.web.people import Seal, Sight, masked, masked_phone
from tally.tables.postgres.lines import BEGINNING

PLACE = (b"s" * 16, b"l" * 16)
OLD, NEW = "o" * 32, "n" * 32


def test_a_masked_line_names_nobody_and_leads_to_no_record() -> None:
    event = {"kind": "read", "at": "2026-11-22T12:34:33.000Z"}
    line = {
        **{
            "adds": 1,
            "subject": "0f",
            "contact": "812",
            "attempt": "1",
            "message": "wamid.x",
            "leg": "PJSIP/1",
        },
        **{"phone": "5511999990042", "market": "BR", "error": "meta:131026"},
        "events": [event | {"topic": "webhook-events", "partition": 0, "offset": 7}],
    }
    assert masked(line) == {
        **{"adds": 1, "subject": "", "contact": "", "attempt": "", "message": "", "leg": ""},
        **{"phone": "***********42", "market": "BR", "error": "meta:131026"},
        "events": [event | {"topic": None, "partition": None, "offset": None}],
    }


@pytest.mark.parametrize(
    ("phone", "shown"),
    [("", ""), ("123456", "******"), ("1234567", "*****67"), ("5511999990042", "*" * 11 + "42")],
)
def test_of_a_short_phone_nothing_is_shown(phone: str, shown: str) -> None:
    assert masked_phone(phone) == shown


def test_a_sealed_cursor_is_opened_by_any_of_our_secrets_and_by_no_other() -> None:
    cursor = Seal([OLD]).close(PLACE)

    assert Seal([NEW, OLD]).open(cursor) == PLACE
    assert Seal([OLD]).close((b"s" * 16, b"m" * 16))[:8] != cursor[:8], "places side by side look like others"
    changed = cursor[:-1] + ("A" if cursor[-1] != "A" else "E")
    for seal, wrong in ((Seal([NEW]), cursor), (Seal([OLD]), changed), (Seal([OLD]), of_line(*PLACE))):
        with pytest.raises(BadParameter):
            seal.open(wrong)


def test_who_sees_masked_lines_gets_no_page_behind_a_digest_of_its_choice() -> None:
    seal = Seal([OLD])
    whole, part = Sight(True, seal), Sight(False, seal)

    assert whole.after({}) == part.after({}) == BEGINNING
    assert (
        whole.after({"cursor": [whole.cursor(PLACE)]})
        == part.after({"cursor": [part.cursor(PLACE)]})
        == PLACE
    )
    with pytest.raises(BadParameter):
        part.after({"cursor": [whole.cursor(PLACE)]})
