"""What a diagnosis reads of topics, each once however many checks look at it."""

from collections import Counter
from collections.abc import Collection

from msgspec import Struct, field

from tally.schemas.bounds import CUSTOMER
from tally.schemas.keys import split_parts
from tally.streams.operations import dead_letters, incomplete
from tally.streams.settings import Settings
from tally.tables.contribution import is_contested
from tally.tables.families.customer.family import CustomerFamily
from tally.tables.families.message import MessageFamily
from tally.tables.kafka.read_to_end import read_to_end
from tally.tables.rules import Rules

CUSTOMERS = CustomerFamily()
MESSAGES = MessageFamily()
LARGE_BYTES = 10_000
"""Of a customer; smaller ones are not kept in mind."""
SCAN_SECONDS = 300.0
SHOWN = 20


class Looks:
    """Reads dead letters, what is missing, and customers when they are first asked for. Raises KafkaError."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._letters: dead_letters.Summary | None = None
        self._lines: list[incomplete.Line] | None = None
        self._crowds: Crowds | None = None

    async def letters(self) -> dead_letters.Summary:
        """Return dead letters by reason and by bound."""
        if self._letters is None:
            self._letters = await dead_letters.summary(self.settings)
        return self._letters

    async def lines(self) -> list[incomplete.Line]:
        """Return what is missing from the numbers."""
        if self._lines is None:
            self._lines = await incomplete.read(self.settings)
        return self._lines

    async def crowds(self) -> "Crowds":
        """Return which identifiers of customers identify nobody."""
        if self._crowds is None:
            crowds = Crowds()
            changelog = self.settings.names.changelog(CUSTOMERS.table)
            async for record in read_to_end(self.settings.kafka, [changelog], SCAN_SECONDS):
                crowds.apply(record.key, record.value)
            self._crowds = crowds
        return self._crowds


class Census(Struct):
    """Messages whose send result has not come, and messages that several tenants claim.

    Most of the former belong to no campaign and never will. Of the claims of the latter all but one
    tenant's are wrong: somebody publishes message ids that are not theirs.
    """

    waiting: set[bytes] = field(default_factory=set)
    contested: set[bytes] = field(default_factory=set)

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the messages' changelog; a later one of the same message replaces it."""
        self.waiting.discard(key)
        self.contested.discard(key)
        if value is None:
            return
        state = MESSAGES.decode(value)
        if MESSAGES.waits(state):
            self.waiting.add(key)
        elif state.others and is_contested(MESSAGES.contribution(key, state, Rules())):
            self.contested.add(key)

    def __str__(self) -> str:
        waiting, contested = _by_number(self.waiting), _by_number(self.contested)
        return f"waiting for a send result: {waiting}; claimed by several tenants: {contested}"


class Crowds(Struct):
    """Identifiers that are shown with too many others to identify anybody, and the largest customer there is.

    A producer or a gateway has filled in one phone or user id for everybody, or one message id.
    """

    refused: set[bytes] = field(default_factory=set)
    incomplete: set[bytes] = field(default_factory=set)
    sizes: dict[bytes, int] = field(default_factory=dict)

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the customers' changelog; a later one of the same key replaces it."""
        self.refused.discard(key)
        self.incomplete.discard(key)
        self.sizes.pop(key, None)
        if value is None:
            return
        state = CUSTOMERS.decode(value)
        if CUSTOMERS.beyond(state) is not None:
            self.incomplete.add(key)
        if CUSTOMERS.stands_apart(state):
            self.refused.add(key)
        elif len(value) > LARGE_BYTES:
            self.sizes[key] = len(value)

    @property
    def by_links(self) -> int:
        """How many identify nobody for what they are shown with, not for the size of a customer."""
        return len(self.refused - self.incomplete)

    def __str__(self) -> str:
        largest = max(self.sizes.values(), default=0)
        size = f"{largest:,}" if largest else f"below {LARGE_BYTES:,}"
        refused, incomplete = _by_number(self.refused), _by_number(self.incomplete)
        return (
            f"identifiers that identify nobody: {refused}; of these by the size of a customer: {incomplete};"
            f" largest customer: {size} of {CUSTOMER.most:,} bytes"
        )


def _by_number(subjects: Collection[bytes]) -> str:
    # What follows the number need not be text: a message among the identifiers of customers is a digest.
    numbers = Counter(split_parts(key.partition(b"/")[0])[0] for key in subjects)
    shown = [f"{number}: {count}" for number, count in numbers.most_common(SHOWN)]
    return ", ".join([*shown, *(["..."] if len(numbers) > SHOWN else [])]) or "none"
