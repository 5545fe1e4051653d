"""Where reading of a partition starts, or goes on behind a hole: what a consumer tells before the records."""

from msgspec import Struct

from tally.schemas.notices import Range


class Start(Struct, frozen=True):
    """Whatever is read next of a partition is of this topic, from this offset on."""

    topic_id: str
    """A topic that was deleted and made anew under its name has another one."""
    at: int
    at_ms: int
    is_first: bool = False
    """Whether the group had no offset here: what was before was never read, or nobody knows."""
    lost: Range | None = None
    """Offsets whose records were gone before this group had read them."""
