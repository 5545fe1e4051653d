"""Where reading of a partition starts, or goes on behind a gap; a consumer says so before the records."""

from msgspec import Struct

from tally.schemas.notices import Range


class Start(Struct, frozen=True):
    """The records that follow are of this topic, from this offset on."""

    topic_id: str
    """A topic that was deleted and re-created under its name has another one."""
    at: int
    at_ms: int
    is_first: bool = False
    """Whether the group had no offset here: what lies before was not read, or that is unknown."""
    lost: Range | None = None
    """Offsets whose records were gone before this group had read them."""
