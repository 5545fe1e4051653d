"""Keys of rows: what names one in the counters changelog."""

from msgspec import Struct

from tally.schemas.keys import Template, join_parts, split_parts


class RowKey(Struct, frozen=True, order=True, gc=False):
    """Names a row: that of a template, with `template` None that of a campaign, or of an operator.

    An operator's row has no campaign, and (PBX, interface) in the template's place.
    """

    tenant: str
    campaign: str
    template: Template | None

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
