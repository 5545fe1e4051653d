"""The families that a fold knows, by the first bytes of their facts."""

from typing import Any

from tally.schemas.records import VERSION
from tally.schemas.topics import ALIASES, COUNTERS, OPEN, RESYNCS
from tally.tables.families.call.family import CallFamily
from tally.tables.families.customer.family import CustomerFamily
from tally.tables.families.family import ConnectedFamily, PlainFamily
from tally.tables.families.message import MessageFamily
from tally.tables.families.operator import OperatorFamily
from tally.tables.families.recipient import RecipientFamily

AnyFamily = PlainFamily[Any, Any] | ConnectedFamily[Any, Any]
"""Of what facts and states it is only the family itself knows."""

FAMILIES: tuple[AnyFamily, ...] = (
    MessageFamily(),
    RecipientFamily(),
    CustomerFamily(),
    CallFamily(),
    OperatorFamily(),
)
BY_KIND: dict[bytes, AnyFamily] = {family.code + VERSION: family for family in FAMILIES}
"""By the first bytes of a fact's record, its family and version."""

INCOMPLETE = "incomplete"
"""Subjects of which a fact was quarantined, with its offset."""

TABLES: tuple[str, ...] = (
    *(family.table for family in FAMILIES),
    ALIASES,
    RESYNCS,
    OPEN,
    INCOMPLETE,
    COUNTERS,
)
"""Every table of a partition; each has a changelog."""
