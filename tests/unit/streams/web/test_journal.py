"""Laws of request ids and of which answers are compressed."""

import re

import pytest

from tally.streams.web.journal import request_id_of
from tally.streams.web.packing import takes_gzip


@pytest.mark.parametrize("given", ["a", "7f-3.A_z", "x" * 64])
def test_an_id_that_was_given_is_kept(given: str) -> None:
    assert request_id_of(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\nb", "é", "<script>"])
def test_any_other_gives_way_to_a_new_one(given: str | None) -> None:
    first, second = request_id_of(given), request_id_of(given)
    assert first != second
    assert re.fullmatch("[0-9a-f]{16}", first)


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True),
        ("GZIP, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("gzip;q=0", False),
        ("*;q=0", False),
        ("deflate, br", False),
        ("identity", False),
        ("", False),
        ("gzip;q=x", False),
        ("xgzip", False),
    ],
)
def test_gzip_is_for_who_takes_it(accepted: str, takes: bool) -> None:
    assert takes_gzip(accepted) is takes
