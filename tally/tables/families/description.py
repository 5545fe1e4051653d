"""The family of descriptions: what campaigns are called and what is planned, by tenant and campaign."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tally.schemas.cells import NO_QUARTER, Cell
from tally.schemas.descriptions import DESCRIPTION, Described, counts_of
from tally.schemas.grains import RowKey
from tally.schemas.keys import split_parts
from tally.schemas.notices import Scope
from tally.tables.contribution import Part
from tally.tables.families.family import PlainFamily, ordered
from tally.tables.rules import Rules

Said = tuple[int, list[str]]
"""A time in unix ms, and what a field was said to be then: the largest holds."""


class DescribedCampaign(Struct, frozen=True, array_like=True, gc=False):
    """The last that was said of each field, in the order of their names."""

    fields: dict[str, Said]


_state_decoder = msgspec.msgpack.Decoder(DescribedCampaign)
_fact_decoder = msgspec.msgpack.Decoder(Described)


class DescriptionFamily(PlainFamily[Described, DescribedCampaign]):
    """The family of descriptions."""

    code = DESCRIPTION
    table = "descriptions"
    decode_fact = staticmethod(_fact_decoder.decode)
    decode = staticmethod(_state_decoder.decode)

    def merge(self, state: DescribedCampaign | None, facts: Sequence[Described]) -> DescribedCampaign:
        fields = {} if state is None else dict(state.fields)
        for fact in facts:
            for field, entries in fact.fields.items():
                said = (fact.at_ms, entries)
                if field not in fields or said > fields[field]:
                    fields[field] = said
        return DescribedCampaign(ordered(fields))

    def named(self, key: bytes, fact: Described) -> Sequence[Scope]:
        tenant, campaign = split_parts(key)
        return [(tenant, campaign)]

    def contribution(self, key: bytes, state: DescribedCampaign, rules: Rules) -> list[Part]:
        counts = counts_of({field: entries for field, (_, entries) in state.fields.items()})
        if not counts:
            return []
        times = [at_ms for at_ms, entries in state.fields.values() if entries]
        tenant, campaign = split_parts(key)
        cell = Cell(RowKey(tenant, campaign, None), "", "", NO_QUARTER)
        return [Part(cell, counts, min(times), max(times))]
