"""Fixtures: a real PBX with a carrier, of every release of Asterisk that was fetched."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest

from tally.schemas.keys import split_parts
from tally.schemas.records import Keyed
from tally.schemas.sources import READERS
from tally.tables.rules import Rules
from tests.asterisk.instance import PBX_NAME, Pbx, pbx_and_carrier
from tests.asterisk.lock import Release, read_lock
from tests.asterisk.session import Received
from tests.support.partition import MemoryPartition
from tests.support.recordings import Received as Collected
from tests.support.recordings import facts_of

Judge = Callable[..., None]
"""Asked after every call: the events of a session, the send results of its calls, and what they come to."""


@pytest.fixture(scope="session", params=read_lock(), ids=lambda release: f"asterisk{release.name}")
def pbx(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pbx]:
    release: Release = request.param
    if not release.fetched:
        pytest.skip(f"Asterisk {release.name} is not there: make asterisk fetches it")
    with pbx_and_carrier(release, tmp_path_factory.mktemp("asterisk")) as running:
        yield running


@pytest.fixture
def judge() -> Judge:
    """Count a session in order, and again shuffled and doubled; both must give these counters."""

    def judged(packets: Sequence[Received], sends: Sequence[bytes], **expected: int) -> None:
        facts = [fact for send in sends for fact in READERS["send-results"](send).facts]
        facts += facts_of([Collected(packet, at_ms) for at_ms, packet in packets], PBX_NAME)
        again = [*facts, *facts]
        random.Random(len(facts)).shuffle(again)
        for order in (facts, again):
            assert {name: n for name, n in counted(order).items() if name in KNOWN} == expected

    return judged


def counted(facts: Sequence[Keyed]) -> dict[str, int]:
    """Return the counters of all campaigns together."""
    partition = MemoryPartition()
    partition.fold(facts, Rules())
    total: Counter[str] = Counter()
    for key, counts in partition.counts().items():
        if split_parts(key)[1]:
            total.update(counts)
    return dict(total)


KNOWN = frozenset(
    {
        *("attempted", "answered", "busy", "no_answer", "rejected", "congestion", "unreachable"),
        *("call_cancelled", "call_failed", "ended_unknown", "queue_joins", "queue_abandoned", "connects"),
    }
)
