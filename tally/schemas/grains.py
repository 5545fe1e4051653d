"""The grains: the levels at which rows are kept, and what names a row at each, in bytes and in columns.

A new level is declared here. The families that know its values contribute to it, and the recount in SQL
counts it by rules of its own. Counters say at which grains they are kept (counters.py). Columns and views of
Postgres, answers and comparisons read both.
"""

from collections.abc import Mapping

from msgspec import Struct

from tally.schemas.keys import FREE_FORM, Template, join_parts, split_parts


class Grain(Struct, frozen=True):
    """One level at which rows are kept."""

    name: str
    """Its rows have it in the column `grain`."""
    of: str
    """What one of its rows is about."""
    view: str
    """The SQL view that shows its numbers."""
    names: tuple[tuple[str, str], ...]
    """What names a row: each part as views and answers call it, and the key column that holds it."""
    sums: "Grain | None" = None
    """The finer grain whose rows add up to it; of what does not add up it has rows of its own."""


TEMPLATE = Grain(
    "template",
    "a template of a campaign, or the script of a voice campaign",
    "campaign_template_stats",
    tuple((name, name) for name in ("tenant", "campaign", "template_name", "template_language")),
)
CAMPAIGN = Grain(
    "campaign",
    "a campaign",
    "campaign_stats",
    (("tenant", "tenant"), ("campaign", "campaign")),
    sums=TEMPLATE,
)
OPERATOR = Grain(
    "operator",
    "an operator at one PBX; the tenant is empty where nobody said whose PBX it is",
    "operator_stats",
    (("tenant", "tenant"), ("pbx", "template_name"), ("operator", "template_language")),
)
GRAINS = (TEMPLATE, CAMPAIGN, OPERATOR)

KEY_COLUMNS = ("tenant", "campaign", "template_name", "template_language", "grain")
"""What names a row in `tally.counters`, beside generation and partition; all are text."""


class RowKey(Struct, frozen=True, order=True, gc=False):
    """Names a row: that of a template, with `template` None that of a campaign, or of an operator.

    An operator's row has no campaign, and (PBX, interface) in the template's place.
    """

    tenant: str
    campaign: str
    template: Template | None

    @property
    def grain(self) -> Grain:
        """The level at which the row is kept."""
        if self.template is None:
            return CAMPAIGN
        return TEMPLATE if self.campaign else OPERATOR

    def encode(self) -> bytes:
        """Return the changelog key: two parts for a campaign, four for a template or an operator."""
        if self.template is None:
            return join_parts(self.tenant, self.campaign)
        return join_parts(self.tenant, self.campaign, self.template.name, self.template.language)

    @staticmethod
    def decode(key: bytes) -> "RowKey":
        """Undo `encode`."""
        tenant, campaign, *template = split_parts(key)
        return RowKey(tenant, campaign, Template(*template) if template else None)

    def columns(self) -> tuple[str, ...]:
        """Return the values of KEY_COLUMNS."""
        template = FREE_FORM if self.template is None else self.template
        return self.tenant, self.campaign, template.name, template.language, self.grain.name

    @staticmethod
    def of_columns(values: Mapping[str, str]) -> "RowKey":
        """Undo `columns`, by name."""
        template = Template(values["template_name"], values["template_language"])
        is_whole = values["grain"] == CAMPAIGN.name
        return RowKey(values["tenant"], values["campaign"], None if is_whole else template)
