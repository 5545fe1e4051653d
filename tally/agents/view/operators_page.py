"""Pages of a tenant's operators, by PBX and interface."""

from msgspec import Struct

from tally.agents.view.answer import smallest
from tally.agents.view.operator_rows import Operator, OperatorRows, Shown
from tally.agents.view.operators import show
from tally.schemas.bounds import OPERATORS_SHOWN
from tally.schemas.keys import Template
from tally.tables.pieces import Steps


class OperatorsQuery(Struct, frozen=True):
    """Which operators are asked for; an empty set means all."""

    pbxs: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    after: Template | None = None
    """The operator after which the page begins."""
    limit: int = OPERATORS_SHOWN.most


class OperatorsPage(Struct, frozen=True):
    """A page of operators, and the operator after which the next page begins."""

    shown: list[tuple[Template, bytes]]
    """(PBX, interface) and entry of each."""
    following: Template | None

    @property
    def entries(self) -> bytes:
        """The entries as a JSON array."""
        return b"[" + b",".join(entry for _, entry in self.shown) + b"]"


def operators_page(
    operators: OperatorRows, tenant: str, query: OperatorsQuery, now_ms: int
) -> Steps[OperatorsPage]:
    """Return a page of a tenant's operators as they are at `now_ms`."""
    names = [name for name in operators.names(tenant) if not query.pbxs or name.name in query.pbxs]
    found: list[tuple[Template, bytes]] = []
    last = query.after
    while True:
        following = (name for name in names if last is None or name > last)
        chosen, count = yield from smallest(following, query.limit)
        for name in chosen:
            operator = operators.one(tenant, name)
            shown = None if operator is None else _shown(operator, now_ms)
            if shown is not None and (not query.states or shown.state in query.states):
                if len(found) == query.limit:
                    return OperatorsPage(found, last)
                found.append((name, shown.entry))
            last = name
            yield
        if count <= len(chosen):
            return OperatorsPage(found, None)


def _shown(operator: Operator, now_ms: int) -> Shown:
    """Return an operator's entry; it is made again once a row changes or the clock ends a wrap-up."""
    kept = operator.shown
    if kept is None or not kept.from_ms <= now_ms < kept.until_ms:
        kept = operator.shown = show(operator, now_ms)
    return kept
