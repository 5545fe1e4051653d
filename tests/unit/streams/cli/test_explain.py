"""What `tally explain` prints: each line with its events, and whether they add up to the number."""

from typing import Any

from msgspec import structs

from tally.streams.cli.explain import Behind, row, said

RECEIPT = {"as_of": "2026-11-22T12:34:36.120Z", "state": "live"}


def line(adds: int, **more: Any) -> dict[str, Any]:
    texts = dict.fromkeys(("number", "market", "contact", "attempt", "phone", "error"), "")
    return {"adds": adds, "template": {"name": "", "language": ""}, "events": [], **texts, **more}


FOUND = Behind(3, False, [line(1), line(2)], True, RECEIPT)


def test_a_line_is_shown_with_where_its_raw_records_lie() -> None:
    at = "2026-11-22T12:00:00.000Z"
    known = {"kind": "read", "at": at, "topic": "webhook-events", "partition": 1, "offset": 7}
    unknown = {"kind": "sent", "at": at, "topic": None, "partition": None, "offset": None}
    shown = line(
        2,
        **{"contact": "ann", "attempt": "1", "market": "BR", "events": [unknown, known]},
        template={"name": "promo", "language": "pt_BR"},
    )
    assert row(shown) == (
        *("ann", "1", "2", "", "promo pt_BR", "", "BR", ""),
        f"sent {at}\nread {at} webhook-events/1@7",
    )


def test_it_says_how_many_lines_the_number_is_and_of_which_moment() -> None:
    end = "; as of 2026-11-22T12:34:36.120Z, live"
    assert said("duplicates", FOUND) == f"duplicates 3 in 2 lines{end}"
    first = structs.replace(FOUND, number=2_000, is_whole=False)
    assert said("read", first) == f"read 2,000; the first 2 lines add 3: --most shows more{end}"
    masked = structs.replace(FOUND, is_masked=True)
    assert said("read", masked).endswith("live; TALLY_API_KEY lacks recipients, so nobody is named")


def test_lines_that_do_not_add_up_are_said() -> None:
    assert "which add 3: it moved" in said("read", structs.replace(FOUND, number=4))
