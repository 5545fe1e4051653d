"""The fast path stays fast: an event's cost in route and fold against parsing it, in the same run."""

import pytest

from tally.tables.rules import Rules
from tests.bench.load import Size, load
from tests.bench.stages import measure_stages

MESSAGES = 2_000
ROUNDS = 7
GROWN = 1.5

ROUTE, FOLD = 6.0, 9.0
"""How many times as long as orjson takes for the same body; measured as below on a quiet machine."""


@pytest.mark.parametrize("tries", [3])
def test_route_and_fold_cost_at_most_half_more_than_they_did(tries: int) -> None:
    """The best of some tries counts, since whatever else the machine does only makes it slower."""
    records = load(Size(MESSAGES), seed=1)
    found = [measure_stages(records, Rules(7 * 86_400, ()), ROUNDS) for _ in range(tries)]
    route, fold = (
        min(stage) for stage in zip(*((s.route / s.parse, s.fold / s.parse) for s in found), strict=True)
    )

    assert route < GROWN * ROUTE, found
    assert fold < GROWN * FOLD, found
