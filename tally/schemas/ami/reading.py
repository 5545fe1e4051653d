"""The settings that reading AMI events depends on: which channel variables mean what."""

from collections.abc import Mapping

from msgspec import Struct, field

from tally.schemas.call_facts import VariableRole

VARIABLES: Mapping[str, VariableRole] = {
    "CAMPAIGN_ID": "campaign",
    "CONTACT_ID": "contact",
    "ATTEMPT_ID": "attempt",
    "SCRIPT_ID": "script",
    "TENANT_ID": "tenant",
    "AMDSTATUS": "amd",
}


class Reading(Struct, frozen=True):
    """What a deployment calls the variables that its dialler sets."""

    variables: Mapping[str, VariableRole] = field(default_factory=lambda: VARIABLES)
    amd_event: str = ""
    """Name of a UserEvent that tells human from machine; its field `Status` has the verdict."""


READING = Reading()
