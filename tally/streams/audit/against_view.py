"""The rows of all partitions against what the read API of a worker answers."""

from msgspec import Struct

from tally.agents.audit.answers import Answer, Compared, Scope, compared, scopes
from tally.agents.audit.counting import whole_rows
from tally.agents.view.model import Keyed
from tally.schemas.keys import RowKey
from tally.streams.audit.asking import Asking
from tally.streams.audit.copies import Copies
from tally.streams.audit.settling import settled

ANYBODY: Scope = ("-", "")
"""Asked for so that a view that is away, or another's, is noticed where there is nothing to compare."""


class Unequal(Struct, frozen=True):
    """An answer that is not, or not yet, what the rows come to."""

    scope: Scope
    found: Compared


async def against_view(asking: Asking, kept: Copies, partitions: int) -> list[Compared]:
    """Return what answers differ in from the rows, and what they cannot be held to. Raises NoAnswer.

    An answer that differs or is late is asked for again: a rule may have changed in between, or the view is
    in the middle of a transaction.
    """
    await asking.ask(ANYBODY)
    open_scopes = list(scopes(await _rows(kept, partitions)))

    async def look() -> list[Unequal]:
        answers = {scope: await asking.ask(scope) for scope in open_scopes}
        unequal = _unequal(answers, scopes(await _rows(kept, partitions)))
        open_scopes[:] = [one.scope for one in unequal]
        return unequal

    return [one.found for one in await settled(look)]


def _unequal(answers: dict[Scope, Answer], rows: dict[Scope, list[Keyed]]) -> list[Unequal]:
    found = (
        Unequal(scope, compared(scope, rows.get(scope, []), answer)) for scope, answer in answers.items()
    )
    return [one for one in found if one.found != Compared()]


async def _rows(kept: Copies, partitions: int) -> list[Keyed]:
    found: list[Keyed] = []
    for partition in range(partitions):
        local = await kept.refreshed(partition)
        found += [(partition, RowKey.decode(key), row) for key, row in whole_rows(local)]
    return found
