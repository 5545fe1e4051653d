"""The fast path stays fast: what an event costs in route and fold, beside reading it and beside a peer."""

import asyncio

import pytest

from bench.in_memory import measure_in_memory
from bench.load import Size, load
from bench.servers import Servers, servers
from bench.throughput import Bench
from bench.throughput_figures import PEERS, QUIX, TALLY, Measured, Plan, Throughput
from tests.support.workers import settings_of

MESSAGES = 2_000
ROUNDS = 7
TRIES = 3
GROWN = 1.5

ROUTE, FOLD = 2.5, 3.0
"""Time relative to reading the same body, measured as below: in four runs 2.0 to 2.6 and 2.4 to 3.7.

Beside orjson alone both were 5.5 and 6.7 on one machine, and 8.7 to 12.2 and 8.0 to 16.9 on another that was
slow for Python, where the code of a day before took as long: that reference told machines apart, not code.
"""

BESIDE_MESSAGES = 20_000
SHARE_OF_QUIX = 0.6
"""It was 0.5 before cells were counted."""


@pytest.mark.alone
def test_route_and_fold_cost_at_most_half_more_than_they_did() -> None:
    """The best of several tries counts: other load on the machine only makes a try slower."""
    records = load(Size(MESSAGES), seed=1)
    found = [measure_in_memory(records, settings_of({}), ROUNDS) for _ in range(TRIES)]
    route = min(one.route_us / one.read_us for one in found)
    fold = min(one.fold_us / one.read_us for one in found)

    assert route < GROWN * ROUTE, found
    assert fold < GROWN * FOLD, found


@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.skipif(not PEERS.exists(), reason="the peers are installed by the first `make bench`")
def test_an_event_costs_a_whole_worker_at_most_so_much_of_what_it_costs_quixstreams() -> None:
    """All processes of both count the same events, rightly; the best of several tries counts."""
    with servers() as there:
        shares = asyncio.run(_shares_of_quix(there))

    assert min(shares) <= SHARE_OF_QUIX, shares


async def _shares_of_quix(there: Servers) -> list[float]:
    """Return the worker's CPU an event over the peer's, try after try, until one is good enough."""
    bench = Bench(there, Plan(BESIDE_MESSAGES))
    topics = await bench.filled("guard-", BESIDE_MESSAGES)
    shares: list[float] = []
    while len(shares) < TRIES and min(shares, default=1.0) > SHARE_OF_QUIX:
        rounds = {TALLY: await bench.tally(topics), QUIX: await bench.peer(topics, "quix")}
        found = Throughput({name: Measured(topics.events, [one]) for name, one in rounds.items()})
        shares.append(found.cpu_times(QUIX))
    return shares
