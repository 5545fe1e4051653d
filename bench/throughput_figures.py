"""Plan and figures of the throughput section."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median

from msgspec import Struct

from bench.tally_round import Round

PEERS = Path(__file__).parents[1] / ".venv-bench" / "bin" / "python"
TALLY = "Tally, one worker of two processes"
QUIX, QUIX_TWICE = "quixstreams", "quixstreams, two processes"
FAUST = "Faust as documented"


class Plan(Struct, frozen=True):
    """Sizes and rounds of the measurement."""

    messages: int = 84_000
    slow_messages: int = 6_000
    """Messages for Faust, which would otherwise take minutes per round."""
    rounds: int = 3
    seed: int = 1
    peers: Path = PEERS
    """The Python of the peers' virtual environment."""


class Measured(Struct):
    """The rounds of one contender."""

    events: int
    rounds: list[Round]

    @property
    def per_second(self) -> list[float]:
        """Events per second of each round."""
        return [self.events / one.seconds for one in self.rounds]

    @property
    def median_per_second(self) -> float:
        """The median of the rounds."""
        return median(self.per_second)

    def cpu_us(self) -> dict[str, float]:
        """Return the median CPU microseconds per event, by process."""
        return {
            name: median(one.cpu_seconds[name] for one in self.rounds) / self.events * 1e6
            for name in self.rounds[0].cpu_seconds
        }

    @property
    def whole_cpu_us(self) -> float:
        """The median CPU microseconds per event of all processes together."""
        return median(sum(one.cpu_seconds.values()) for one in self.rounds) / self.events * 1e6


class Throughput(Struct, frozen=True):
    """All rounds of all contenders."""

    contenders: Mapping[str, Measured]

    @property
    def median_per_second(self) -> float:
        """Events per second of one Tally worker."""
        return self.contenders[TALLY].median_per_second

    def times(self, name: str) -> float:
        """Return Tally's median rate divided by that of another contender."""
        return self.median_per_second / self.contenders[name].median_per_second

    def cpu_times(self, name: str) -> float:
        """Return Tally's CPU per event divided by that of another contender."""
        return self.contenders[TALLY].whole_cpu_us / self.contenders[name].whole_cpu_us
