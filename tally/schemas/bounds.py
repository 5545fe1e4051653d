"""All bounds, each declared once; docs/counters.md lists them.

Size alone (bytes, elements, members) decides a bound, so every machine, order and replay decides the same.
Route, families, the recount in SQL and `doctor` read this list.
"""

from typing import Literal

from msgspec import Struct

KIB, MIB = 1 << 10, 1 << 20

Kind = Literal["reader", "value", "state", "shown"]
"""What is bounded: what a reader takes, one value, one subject's state, or what is shown of all there is."""


class Bound(Struct, frozen=True):
    """One bound: up to `most` counts, what is beyond has a name."""

    name: str
    kind: Kind
    most: int
    of: str
    """What is counted, and of what."""
    beyond: str
    """What becomes of what is beyond it, and under which name it is seen."""


RECORD = Bound("record", "reader", 4 * MIB, "bytes of a raw record", "dead letter `too_large`")
TEMPLATES_SHOWN = Bound(
    "templates_shown",
    "shown",
    1_000,
    "templates in one answer, the smallest by name and language",
    "added up in `templates_more`; Postgres has every one",
)
CAMPAIGNS_SHOWN = Bound(
    "campaigns_shown", "shown", 500, "campaigns in one answer", "the next page: `next_cursor`"
)
OPERATORS_SHOWN = Bound(
    "operators_shown", "shown", 1_000, "operators in one answer", "the next page: `next_cursor`"
)
QUEUES_SHOWN = Bound("queues_shown", "shown", 1_000, "queues in one answer", "the next page: `next_cursor`")
NUMBERS_SHOWN = Bound(
    "numbers_shown", "shown", 1_000, "business numbers in one answer", "the next page: `next_cursor`"
)

BATCH_BEYOND = "one dead letter `too_large` of the whole batch; what follows it counts"
BATCH = Bound(
    "batch", "reader", 2 * RECORD.most, "bytes that a compressed batch of records unpacks to", BATCH_BEYOND
)
BATCH_RECORDS = Bound("batch_records", "reader", 50_000, "records of a compressed batch", BATCH_BEYOND)
HEADERS = Bound("headers", "reader", 100, "headers of a record", "later headers are not looked at")

LETTER_END = Bound(
    "letter_end",
    "value",
    64 * KIB,
    "bytes that a dead letter keeps of each end of a value beyond `record`",
    "the middle is left out; size, SHA-256 and origin are kept",
)
LETTER_KEY = Bound(
    "letter_key", "value", 4 * KIB, "bytes of a record's key in its dead letter", "the first ones are kept"
)

ATTEMPTS = Bound(
    "attempts",
    "state",
    300,
    "attempts of a contact in one campaign",
    "contact `incomplete`: the smallest as text count",
)
ATTEMPT_MESSAGES = Bound(
    "attempt_messages",
    "state",
    3_000,
    "accepted messages of a contact in one campaign, over all its attempts",
    "contact `incomplete`: those of the smallest attempts count",
)
CALL_MEMBERS = Bound(
    "call",
    "state",
    # A call is counted in one turn of the event loop, of 50 ms at most.
    3_000,
    "identifiers, channels, dials, attempts, ids and moments of a call",
    "the call counts nothing, and is `incomplete`",
)
CALL_CROWDS = Bound(
    "crowd",
    "state",
    30_000,
    "of a call: the enters and leaves of its bridges, times the square of how many channels were ever there",
    "the call counts nothing, and is `incomplete`",
)
QUEUE_NAME = Bound(
    "queue_name", "value", 64, "bytes of a queue's name", "its digest is its name: `sha256:` and 32 digits"
)
OPERATOR_TEXT = Bound(
    "operator_text", "value", 64, "characters of an operator's name, or of the reason of a pause", "cut off"
)
OPERATOR_QUEUES = Bound(
    "operator_queues", "state", 200, "queues of an operator", "the operator shows none, and is `incomplete`"
)
IDENTIFIER_LINKS = Bound(
    "identifier_links",
    "state",
    20,
    "phones, user ids, or names, that one identifier of a customer is shown together with",
    "it identifies nobody: `tally_identifiers_refused_total`",
)
IDENTIFIER_MESSAGES = Bound(
    "identifier_messages",
    "state",
    2_000,
    "messages that a phone or user id is shown together with",
    "it identifies nobody: `tally_identifiers_refused_total`",
)
CUSTOMER = Bound(
    "customer",
    "state",
    500_000,
    "bytes of what is known of one customer",
    "those of its identifiers that connect most identify nobody, and are `incomplete`",
)
REMEMBERED_LINKS = Bound(
    "remembered_links",
    "reader",
    24 * MIB,
    "bytes of pairs of identifiers that route remembers to have said",
    "the older half is forgotten, and said once more",
)

CLAIMANTS = Bound(
    "claimants",
    "state",
    64,
    "further attempts that claim one message",
    "message `incomplete`: those of the smallest claims count",
)

ELEMENTS = Bound(
    "elements",
    "reader",
    80_000,
    "elements of a raw JSON record: its commas, `[` and `{`, those within texts as well",
    "dead letter `too_many_parts`",
)
BAD_PARTS = Bound(
    "bad_parts", "shown", 100, "bad parts of a record that its dead letter lists", "counted, not listed"
)
PACKET_LINES = Bound(
    "packet_lines",
    "reader",
    1_000,
    "lines of an AMI packet, or strings of the JSON object in its place",
    "dead letter `bad_packet`",
)
TEMPLATE = Bound(
    "template",
    "value",
    256,
    "bytes of a template's name, and of its language",
    "its first 55 characters, `~` and 32 hex digits of its SHA-256",
)

BOUNDS: tuple[Bound, ...] = (
    RECORD,
    BATCH,
    BATCH_RECORDS,
    HEADERS,
    LETTER_END,
    LETTER_KEY,
    ELEMENTS,
    BAD_PARTS,
    PACKET_LINES,
    TEMPLATE,
    ATTEMPTS,
    ATTEMPT_MESSAGES,
    CLAIMANTS,
    CALL_MEMBERS,
    CALL_CROWDS,
    QUEUE_NAME,
    OPERATOR_TEXT,
    OPERATOR_QUEUES,
    IDENTIFIER_LINKS,
    IDENTIFIER_MESSAGES,
    CUSTOMER,
    REMEMBERED_LINKS,
    TEMPLATES_SHOWN,
    CAMPAIGNS_SHOWN,
    OPERATORS_SHOWN,
    QUEUES_SHOWN,
    NUMBERS_SHOWN,
)

BY_NAME: dict[str, Bound] = {bound.name: bound for bound in BOUNDS}
