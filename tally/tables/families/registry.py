"""The families that the fold knows."""

from typing import Any

from tally.schemas.records import VERSION
from tally.tables.families.call.family import CallFamily
from tally.tables.families.customer.family import CustomerFamily
from tally.tables.families.description import DescriptionFamily
from tally.tables.families.family import ConnectedFamily, PlainFamily
from tally.tables.families.message import MessageFamily
from tally.tables.families.operator import OperatorFamily
from tally.tables.families.recipient import RecipientFamily

AnyFamily = PlainFamily[Any, Any] | ConnectedFamily[Any, Any]
"""A family of any facts and states; only the family itself knows their types."""

FAMILIES: tuple[AnyFamily, ...] = (
    MessageFamily(),
    RecipientFamily(),
    CustomerFamily(),
    CallFamily(),
    OperatorFamily(),
    DescriptionFamily(),
)
BY_KIND: dict[bytes, AnyFamily] = {family.code + VERSION: family for family in FAMILIES}
"""The families by the first bytes of a fact's record: family and version."""
