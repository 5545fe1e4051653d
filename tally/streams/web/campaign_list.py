"""The parameters of a list of campaigns, parsed into checked values. Pure."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from tally.agents.view.campaigns_page import CampaignsQuery
from tally.schemas.bounds import CAMPAIGNS_SHOWN
from tally.schemas.errors import BadEvent
from tally.schemas.fields import MAX_MS, unix_ms
from tally.streams.web.cursors import read_campaign
from tally.streams.web.parameters import (
    CURSOR,
    ID_EXPECTED,
    BadParameter,
    Id,
    Parameter,
    Query,
    limit_parameter,
    read_id,
    single,
)

DEFAULT_LIMIT = 50
MAX_IDS = 500
SINCE_EXPECTED = "unix milliseconds, or RFC 3339 with a zone (in an address + is written %2B)"
ID = Parameter("id", Id, "these campaigns alone", ID_EXPECTED, MAX_IDS, has_commas=True)
PARAMETERS = (
    CURSOR,
    limit_parameter(CAMPAIGNS_SHOWN.most, DEFAULT_LIMIT),
    Parameter(
        "since",
        Annotated[int, Meta(ge=0, le=MAX_MS)] | Annotated[datetime, Meta(tz=True)],
        "campaigns whose last activity is not before this",
        SINCE_EXPECTED,
    ),
    ID,
)


def read_list_query(query: Query) -> CampaignsQuery:
    """Return the parameters of a list that were checked by their types. Raises BadParameter."""
    cursor, limit, since = (single(query, name) for name in ("cursor", "limit", "since"))
    return CampaignsQuery(
        after=read_campaign(cursor) if cursor is not None else None,
        limit=int(limit or DEFAULT_LIMIT),
        since_ms=_since(since) if since is not None else 0,
        ids=frozenset(read_id("id", one) for one in ID.values(query.get(ID.name, ()))),
    )


def _since(text: str) -> int:
    try:
        return unix_ms(int(text) if text.isdigit() else text, "since")
    except BadEvent:
        raise BadParameter(f"since must be {SINCE_EXPECTED}") from None
