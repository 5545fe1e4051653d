"""The configuration of the apps of Meta whose webhooks the gateway takes."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from tally.streams.named_lists import Tenant, distinct, from_json

SHORTEST_TOKEN = 16
"""Who knows it can make Meta's console say that our address is theirs; a short one is guessed at leisure."""
MOST_SECRETS = 2
"""The one in use, and while it is rotated the one before or after it."""


class App(BaseModel):
    """One app: the name in its webhooks' address, and the secrets that it shares with Meta."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # A name of dots alone is no part of an address: clients take it for a step up.
    name: str = Field(
        pattern=r"^[._-]*[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=64,
        description="last part of its address; a label of metrics",
    )
    secrets: tuple[SecretStr, ...] = Field(description="its app secret, or two while it is rotated")
    verify_token: SecretStr = Field(description="what Meta's handshake must show")
    tenant: Tenant = Field(None, description="whose webhooks these are")

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if not 1 <= len(self.secrets) <= MOST_SECRETS or not all(
            one.get_secret_value().strip() for one in self.secrets
        ):
            # Without a secret anybody's webhooks would count.
            raise ValueError(f"app {self.name}: give one app secret, or two while it is rotated, none empty")
        if any(one.get_secret_value() != one.get_secret_value().strip() for one in self.secrets):
            # Every webhook would be refused as forged.
            raise ValueError(f"app {self.name}: a secret has blanks or a line end around it")
        if len(self.verify_token.get_secret_value().strip()) < SHORTEST_TOKEN:
            raise ValueError(
                f"app {self.name}: the verify token must have at least {SHORTEST_TOKEN} characters"
            )
        return self

    def __str__(self) -> str:
        return self.name

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The secrets as keys of the signature."""
        return tuple(one.get_secret_value().encode() for one in self.secrets)


Apps = Annotated[tuple[App, ...], NoDecode, BeforeValidator(from_json), AfterValidator(distinct("apps"))]
"""The apps of one gateway, as a JSON list of objects or as `App` values."""
