"""What `tally doctor` says of Postgres."""

import pytest

from tally.streams.operations.doctor import shown_cuts


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((0, 0, 0), "nothing yet"),
        ((4, 0, 0), "4 of 4 partitions are of one moment"),
        ((4, 1, 0), "3 of 4 partitions are of one moment, 1 catching up"),
        (
            (4, 1, 2),
            "3 of 4 partitions are of one moment, 1 catching up, 2 rows withheld (tally.withheld says why)",
        ),
    ],
)
def test_postgres_shows_moments_or_what_it_lacks(found: tuple[int, int, int], said: str) -> None:
    assert shown_cuts(*found) == said
