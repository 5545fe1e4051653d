"""What the typed readers of usual events share: ids as Meta gives them, and what is worth no try."""

from typing import Annotated, TypeGuard

import msgspec
from msgspec import Meta

from tally.schemas.errors import BadEvent
from tally.schemas.fields import MAX_META_ID
from tally.schemas.scan import may_be_read

MAX_INTEGER = (1 << 63) - 1
"""Beyond 64 bits an integer is a float for the general reader's parser, or no JSON at all."""

MetaId = Annotated[str, Meta(min_length=1, max_length=MAX_META_ID)]
MaybeMetaId = Annotated[str, Meta(max_length=MAX_META_ID)] | None
"""Absent, null and empty ones say nothing."""

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, BadEvent)
"""What a typed reader meets in an event that it leaves to the general one."""


def may_be_usual(value: bytes | None) -> TypeGuard[bytes]:
    """Return whether a typed decode may say what the general reader says of a record's value."""
    # A U+0000 makes an id a bad one, and the declared types let it pass.
    return value is not None and may_be_read(value) and b"\\u0000" not in value
