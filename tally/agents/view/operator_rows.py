"""The rows of operators, by tenant. Such a row has no campaign, and (PBX, interface) as its template."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.operator_row import Membership, read_operator_state
from tally.schemas.rows import Row

COUNTED = ("connects", "ring_no_answer", "talk_ms")
NOBODY = ""
"""The tenant in the rows of operators whose PBX has no known tenant."""


class Shown(Struct, frozen=True):
    """An operator's entry in an answer, and the span of time in which it holds."""

    state: str
    entry: bytes
    from_ms: int
    until_ms: int


class Operator(Struct):
    """One operator as its rows describe it; rebuilt once one of them changes."""

    pbx: str
    interface: str
    name: str
    memberships: tuple[Membership, ...]
    counts: dict[str, int]
    legs_in_call: int = 0
    """Legs that are connected to a customer at this moment."""
    legs_ringing: int = 0
    """Legs to which a queue offers a customer at this moment."""
    shown: Shown | None = None
    """Its entry in an answer, cached here by `operators_page`."""


class OperatorRows:
    """The newest rows of operators; an operator is read from them once, until one of them changes."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[Template, dict[int, Row]]] = {}
        self._read: dict[str, dict[Template, Operator | None]] = {}

    def put(self, partition: int, key: RowKey, row: Row) -> None:
        """Store a newer row."""
        if key.template is not None:
            self._rows.setdefault(key.tenant, {}).setdefault(key.template, {})[partition] = row
            self._forget(key.tenant, key.template)

    def drop(self, partition: int, key: RowKey) -> None:
        """Forget a row."""
        if key.template is not None:
            del self._rows[key.tenant][key.template][partition]
            self._forget(key.tenant, key.template)

    def names(self, tenant: str) -> list[Template]:
        """Return (PBX, interface) of each of a tenant's operators, unordered."""
        return list(self._rows.get(tenant, ()))

    def one(self, tenant: str, name: Template) -> Operator | None:
        """Return an operator, or None where its rows count nothing."""
        rows = self._rows.get(tenant, {}).get(name)
        if rows is None:
            return None
        read = self._read.setdefault(tenant, {})
        if name not in read:
            read[name] = self._described(name, rows)
        return read[name]

    def _described(self, template: Template, rows: Mapping[int, Row]) -> Operator | None:
        """Return an operator; memberships known without a tenant apply to each tenant that it served."""
        operator = read_operator(template, rows.values())
        if operator is None or operator.name or operator.memberships:
            return operator
        known = read_operator(template, self._rows.get(NOBODY, {}).get(template, {}).values())
        if known is None:
            return operator
        return msgspec.structs.replace(operator, name=known.name, memberships=known.memberships)

    def _forget(self, tenant: str, template: Template) -> None:
        """Forget an operator whose rows change; rows of the tenant `NOBODY` describe it for every tenant."""
        for read in self._read.values() if tenant == NOBODY else (self._read.get(tenant, {}),):
            read.pop(template, None)


def read_operator(template: Template, rows: Iterable[Row]) -> Operator | None:
    """Return the operator that the rows of one template describe; None where they count nothing."""
    counts = _summed(rows)
    if not counts:
        return None
    state = read_operator_state(counts)
    return Operator(
        pbx=template.name,
        interface=template.language,
        name=state.name,
        memberships=state.memberships,
        counts={name: counts.get(name, 0) for name in COUNTED},
        legs_in_call=state.legs_in_call,
        legs_ringing=state.legs_ringing,
    )


def _summed(rows: Iterable[Row]) -> dict[str, int]:
    summed: dict[str, int] = {}
    for row in rows:
        for name, value in row.counts.items():
            summed[name] = summed.get(name, 0) + value
    return summed
