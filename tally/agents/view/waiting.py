"""The callers who wait in queues now, by tenant, PBX and queue, fed from the counters changelog."""

from collections.abc import Iterator

from msgspec import Struct

from tally.schemas.waiting import Caller, decode_caller, decode_since


class QueueNow(Struct, frozen=True):
    """A queue of a PBX in which somebody waits: how many, and since when the first of them, in unix ms."""

    pbx: str
    queue: str
    waiting: int
    since_ms: int


class WaitingCallers:
    """The newest record of each caller; a caller who has left is none."""

    def __init__(self) -> None:
        self._since: dict[str, dict[tuple[str, str], dict[tuple[str, int], int]]] = {}

    def apply(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Apply one committed record of a caller."""
        caller = decode_caller(key)
        queues = self._since.setdefault(caller.tenant, {})
        callers = queues.setdefault((caller.pbx, caller.queue), {})
        if value is not None:
            callers[caller.channel, partition] = decode_since(value)
            return
        callers.pop((caller.channel, partition), None)
        self._forget_empty(caller)

    def of(self, tenant: str) -> Iterator[QueueNow]:
        """Yield a tenant's queues in which somebody waits, by PBX and queue."""
        queues = self._since.get(tenant, {})
        for pbx, queue in sorted(queues):
            callers = queues[pbx, queue]
            yield QueueNow(pbx, queue, len(callers), min(callers.values()))

    def _forget_empty(self, caller: Caller) -> None:
        queues = self._since[caller.tenant]
        if not queues[caller.pbx, caller.queue]:
            del queues[caller.pbx, caller.queue]
        if not queues:
            del self._since[caller.tenant]
