"""The rows of all partitions against what the read API of a worker answers."""

from collections.abc import Iterator

from msgspec import Struct

from tally.agents.audit.answers import Compared, Scope, compared
from tally.agents.audit.counting import whole_rows
from tally.agents.audit.versions import Versions
from tally.agents.view.campaign import Keyed
from tally.schemas.keys import RowKey
from tally.schemas.topics import COUNTERS
from tally.streams.audit.asking import Asking
from tally.streams.audit.copies import Copies
from tally.streams.audit.following import Following, following
from tally.streams.audit.settling import settled
from tally.streams.settings import Settings
from tally.tables.store.local import LocalStore

ANYBODY: Scope = ("-", "")
"""Asked for so that a view that is away, or another's, is noticed where there is nothing to compare."""


class Unequal(Struct, frozen=True):
    """An answer that is not, or not yet, what the rows come to."""

    scope: Scope
    found: Compared


async def against_view(settings: Settings, url: str, kept: Copies, partitions: int) -> list[Compared]:
    """Return what answers differ in from the rows, and what they cannot be held to.

    Raises NoAnswer, TimeoutError and KafkaError.
    """
    async with Asking(url, settings.generation) as asking:
        await asking.ask(ANYBODY)
        local = {partition: await kept.refreshed(partition) for partition in range(partitions)}
        versions = Versions(_rows(local))
        starts = {partition: _end(copy) for partition, copy in local.items()}
        async with following(settings, starts) as changes:
            look = Look(asking, changes, versions)
            return [one.found for one in await settled(look.again)]


class Look:
    """Asks for everything, then for what was not equal.

    The view may have been behind the copies, or in the middle of a transaction.
    """

    def __init__(self, asking: Asking, changes: Following, versions: Versions) -> None:
        self._asking = asking
        self._changes = changes
        self._versions = versions
        self._open = versions.scopes()

    async def again(self) -> list[Unequal]:
        """Ask, take up what was counted meanwhile, and compare by the progress of each answer."""
        answers = {scope: await self._asking.ask(scope) for scope in self._open}
        await self._changes.take_up(self._versions)
        unequal = []
        for scope, answer in answers.items():
            rows = self._versions.at(scope, answer.receipt.progress)
            if (found := compared(scope, rows, answer)) != Compared():
                unequal.append(Unequal(scope, found))
        self._open = [one.scope for one in unequal]
        return unequal


def _rows(copies: dict[int, LocalStore]) -> Iterator[Keyed]:
    for partition, local in copies.items():
        for key, row in whole_rows(local):
            yield partition, RowKey.decode(key), row


def _end(local: LocalStore) -> int:
    """Return where the counters go on behind a copy; at their start where nothing was ever counted."""
    return 0 if local.meta is None else local.meta.offsets.get(COUNTERS, 0)
