"""How much of throughput is measured, and what came of it."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median

from msgspec import Struct

from bench.tally_round import Round

PEERS = Path(__file__).parents[1] / ".venv-bench" / "bin" / "python"


class Plan(Struct, frozen=True):
    """How much is measured."""

    messages: int = 84_000
    slow_messages: int = 6_000
    """For Faust, which would take minutes a round otherwise."""
    rounds: int = 3
    seed: int = 1
    peers: Path = PEERS
    """The Python that has the peers in it."""


class Measured(Struct):
    """The rounds of one contender."""

    events: int
    rounds: list[Round]

    @property
    def per_second(self) -> list[float]:
        """Events a second of each round."""
        return [self.events / one.seconds for one in self.rounds]

    @property
    def median_per_second(self) -> float:
        """The round in the middle."""
        return median(self.per_second)

    def cpu_us(self) -> dict[str, float]:
        """Return CPU microseconds an event by process, medians."""
        return {
            name: median(one.cpu_seconds[name] for one in self.rounds) / self.events * 1e6
            for name in self.rounds[0].cpu_seconds
        }


class Throughput(Struct, frozen=True):
    """All rounds of all contenders, and Tally once more with a process for each role."""

    contenders: Mapping[str, Measured]
    by_role: Measured

    @property
    def median_per_second(self) -> float:
        """Events that Tally counts in a second, with one worker."""
        return self.contenders["tally"].median_per_second

    def times(self, name: str) -> float:
        """Return how many events Tally counts in the time of one of another contender, by medians."""
        return self.median_per_second / self.contenders[name].median_per_second
