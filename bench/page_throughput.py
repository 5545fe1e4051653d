"""Throughput on the page: the rates of all contenders, and the cost of an event by stage."""

from bench.figures import Spread
from bench.stages import Stages
from bench.table import table, us
from bench.throughput_figures import Measured, Throughput

NAMES = {
    "ceiling": "ceiling: aiokafka and orjson read and parse, nothing else",
    "tally": "Tally, one worker with all roles",
    "quixstreams": "quixstreams",
    "faust": "Faust as documented",
}
HEAD = """## Throughput

The raw topics are full before anybody starts. The clock runs from the first raw event that is taken to the
last row that it changes: for Tally in view and Postgres, for the peers in a topic, since they have neither.
All take turns, {rounds} rounds; the median, and the least and the most of the rounds."""
FEWER = """Faust is given {slow:,} events where the others have {fast:,}, or it would take minutes a round.
The peers do a part of Tally's job: [what they do, and what they cannot](../bench/peers/README.md)."""
STAGES = """What an event costs, in microseconds of CPU: all threads of a process, user and system, without
broker and Postgres. Tally's roles once more, each in a process of its own."""
IN_MEMORY = """Without Kafka and disk, in one process, the least of several rounds: orjson parses an event in
{parse} us, route takes {route} us ({route_times:.1f} times as long) and fold {fold} us ({fold_times:.1f}
times). The rest of each role is Kafka's protocol, transactions and RocksDB."""


def throughput_part(found: Throughput, stages: Stages | None) -> str:
    """Return the section on throughput."""
    rounds = len(found.contenders["tally"].rounds)
    fewer = FEWER.format(slow=found.contenders["faust"].events, fast=found.contenders["tally"].events)
    parts = [HEAD.format(rounds=rounds), _rates(found), fewer, STAGES, _costs(found)]
    if stages is not None:
        parts.append(_in_memory(stages))
    return "\n\n".join(parts)


def _rates(found: Throughput) -> str:
    rows = [
        (name, Spread.of(one.per_second), f"{_share(found, one):.1f} %", f"{found.times(key):.2f} x")
        for key, name in NAMES.items()
        for one in [found.contenders[key]]
    ]
    return table(("", "events/s", "of the ceiling", "Tally over it"), rows)


def _share(found: Throughput, one: Measured) -> float:
    return one.median_per_second / found.contenders["ceiling"].median_per_second * 100


def _costs(found: Throughput) -> str:
    whole = [(NAMES[key], us(sum(found.contenders[key].cpu_us().values()))) for key in NAMES]
    by_role = [(f"Tally, {name.replace('-', ' and ')} alone", us(cost)) for name, cost in _by_role(found)]
    return table(("", "CPU us an event"), [*whole[:2], *by_role, *whole[2:]])


def _by_role(found: Throughput) -> list[tuple[str, float]]:
    return list(found.by_role.cpu_us().items())


def _in_memory(stages: Stages) -> str:
    return IN_MEMORY.format(
        parse=us(stages.parse_us),
        route=us(stages.route_us),
        fold=us(stages.fold_us),
        route_times=stages.route_us / stages.parse_us,
        fold_times=stages.fold_us / stages.parse_us,
    )
