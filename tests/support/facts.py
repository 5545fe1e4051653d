"""Hypothesis strategies: facts that meet, contradict and repeat each other."""

from typing import Any

from hypothesis import strategies as st

from tally.schemas.facts import (
    AttemptResult,
    Claim,
    Claimed,
    Inbound,
    Pricing,
    Quoted,
    Send,
    Sighting,
    StatusSeen,
)
from tally.schemas.keys import FREE_FORM, Template, join_parts

# Few values, so that facts meet often.
SECONDS = st.integers(1_795_000_000, 1_795_000_009) | st.sampled_from([0, 1_763_000_000, 1_796_000_000])
MILLISECONDS = SECONDS.flatmap(lambda at_s: st.integers(at_s * 1000, at_s * 1000 + 999))
TEMPLATES = st.sampled_from([FREE_FORM, Template("promo", "pt_BR"), Template("promo", "en_US")])
CAMPAIGNS = st.sampled_from(["c1", "c2", "c%/3"])
ERRORS = st.sampled_from([None, "meta:131026", "meta:131049", "meta:weird"])

CLAIMS = st.builds(
    Claim,
    MILLISECONDS,
    st.sampled_from(["t1", "t/2"]),
    CAMPAIGNS,
    st.sampled_from(["8", "9"]),
    st.sampled_from(["1", "2"]),
    TEMPLATES,
) | st.builds(Claim, MILLISECONDS, st.just("t1"))

PRICINGS = st.none() | st.builds(
    Pricing,
    st.integers(0, 4),
    SECONDS,
    st.sampled_from(["marketing", "", "odd"]),
    st.sampled_from(["regular", ""]),
)
MESSAGE_FACTS = (
    st.builds(Claimed, CLAIMS)
    | st.builds(
        StatusSeen,
        st.sampled_from(["sent", "delivered", "read", "played", "failed", "deleted"]),
        SECONDS,
        ERRORS,
        PRICINGS,
    )
    | st.builds(Quoted, SECONDS, st.booleans())
)

DIGESTS = st.sampled_from([b"a" * 12, b"b" * 12, b"c" * 12])
RESULTS = st.builds(
    AttemptResult,
    st.sampled_from(["whatsapp", "voice"]),
    st.sampled_from(["1", "2", "10"]),
    st.sampled_from(["queued", "requested", "accepted", "failed", "skipped", "cancelled"]),
    MILLISECONDS,
    TEMPLATES,
    st.sampled_from(["", "id-1", "id-2"]),
    ERRORS,
    st.just(b"") | DIGESTS,
)

IDENTIFIERS = st.sampled_from([b"p1", b"p2", b"p3", b"uBR.1", b"uBR.2", b"w" + b"a" * 12, b"w" + b"b" * 12])
SIGHTINGS = st.builds(
    Sighting,
    st.lists(IDENTIFIERS, min_size=1, max_size=3, unique=True),
    st.none() | st.builds(Send, DIGESTS, CLAIMS),
    st.none() | st.builds(Inbound, DIGESTS, SECONDS),
)

FACTS: dict[str, st.SearchStrategy[Any]] = {
    "messages": MESSAGE_FACTS,
    "recipients": RESULTS,
    "customers": SIGHTINGS,
}
KEYS = {
    "messages": join_parts("106540352242922", "wamid.x/y=="),
    "recipients": join_parts("t1", "c%/3", "812"),
    "customers": join_parts("106540352242922") + b"/p1",
}
