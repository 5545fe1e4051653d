"""What reading raw events depends on beside them: what channel variables mean, and whose numbers are."""

from collections.abc import Mapping

from msgspec import Struct, field

from tally.schemas.call_facts import VariableRole
from tally.schemas.numbers import NO_NUMBERS, Numbers

VARIABLES: Mapping[str, VariableRole] = {
    "CAMPAIGN_ID": "campaign",
    "CONTACT_ID": "contact",
    "ATTEMPT_ID": "attempt",
    "SCRIPT_ID": "script",
    "TENANT_ID": "tenant",
    "AMDSTATUS": "amd",
}


class Conventions(Struct, frozen=True):
    """What a deployment calls the variables that its dialler sets, and whose its business numbers are."""

    variables: Mapping[str, VariableRole] = field(default_factory=lambda: VARIABLES)
    amd_event: str = ""
    """Name of a UserEvent that tells human from machine; its field `Status` has the verdict."""
    numbers: Numbers = NO_NUMBERS


CONVENTIONS = Conventions()


class Whose(Struct, frozen=True):
    """Whose PBX an event came from, as far as its record says."""

    tenant: str = ""
    is_bound: bool = False
    """Whether nothing in the event may name another tenant."""

    @property
    def bound(self) -> str:
        """The tenant that the PBX is bound to; empty where it is to none."""
        return self.tenant if self.is_bound else ""
