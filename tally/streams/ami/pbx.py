"""The configuration of one PBX."""

import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from tally.streams.ami.framing import LINE_BREAKS
from tally.streams.named_lists import Tenant, distinct, from_json

DEFAULT_EVENTS = "system,call,agent,user,cdr"
"""Without `dialplan`: it is more than half of the volume and adds only VarSet and Newexten. Channel events
carry variables too, if `channelvars` of manager.conf names them.
"""


class Pbx(BaseModel):
    """The address, login and event selection of one PBX."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="as in send results; a label of metrics")
    tenant: Tenant = Field(None, description="whose calls these are")
    tenants: Literal["one", "any"] = Field("one", description="`any`: its channels may name other tenants")
    host: str = Field(min_length=1, description="address or name")
    port: int = Field(5038, ge=1, le=65535, description="TLS is mostly on 5039")
    username: str = Field(min_length=1, description="section of manager.conf")
    secret: SecretStr = Field(SecretStr(""), description="its secret")
    secret_file: Path | None = Field(None, description="or a file with the secret, read at each login")
    tls: bool = Field(False, description="encrypt the connection")
    ca_file: Path | None = Field(None, description="CA certificates; the system's without")
    verify: bool = Field(True, description="check the certificate and its name")
    auth: Literal["plain", "md5"] = Field("plain", description="md5 never sends the secret")
    events: str = Field(DEFAULT_EVENTS, pattern=r"^[a-z]+(,[a-z]+)*$", description="classes of events")
    filters: tuple[str, ...] = Field((), description="lines of the action Filter, such as `!Event: RTCPSent`")
    resync_seconds: float = Field(60.0, ge=1, le=3600, description="how often all channels are listed")

    @field_validator("tenant", "host", "username", "secret", "filters")
    @classmethod
    def _has_no_line_break(cls, value: Any) -> Any:
        texts = value if isinstance(value, tuple) else (value,)
        for text in texts:
            plain = text.get_secret_value() if isinstance(text, SecretStr) else text or ""
            if any(character in plain for character in LINE_BREAKS):
                raise ValueError("holds a line break")
        return value

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        if bool(self.secret.get_secret_value()) == bool(self.secret_file):
            raise ValueError("give either secret or secret_file")
        return self

    @model_validator(mode="after")
    def _uses_what_it_says(self) -> Self:
        """Refuse what nothing reads: whoever names a CA thinks that certificates are checked against it."""
        if not self.tls and (self.ca_file is not None or not self.verify):
            raise ValueError("ca_file and verify are of no use without tls")
        if self.ca_file is not None and not self.verify:
            raise ValueError("ca_file is of no use without verify")
        return self

    def __str__(self) -> str:
        return f"{self.name} ({self.username}@{self.host}:{self.port})"

    def read_secret(self) -> str:
        """Return the secret. Raises OSError or ValueError if its file cannot be read."""
        if self.secret_file is None:
            return self.secret.get_secret_value()
        return self.secret_file.read_text(encoding="utf-8").rstrip("\r\n")

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS context of the connection; None if it is plain. Raises OSError."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


Pbxs = Annotated[tuple[Pbx, ...], NoDecode, BeforeValidator(from_json), AfterValidator(distinct("PBXs"))]
"""The PBXs of one collector, as a JSON list of objects or as `Pbx` values."""
