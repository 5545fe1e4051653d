"""What a diagnosis reads from topics; each topic is read once for all checks."""

from collections import Counter
from collections.abc import Collection

from msgspec import Struct, field

from tally.schemas.bounds import CUSTOMER
from tally.schemas.keys import split_parts
from tally.schemas.tables import table_of
from tally.schemas.topics import STATES
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
"""Size of a customer from which it is remembered."""
SCAN_SECONDS = 300.0
SHOWN = 20


class Looks:
    """Lazy, cached reads of dead letters, missing subjects and customers. Raises KafkaError."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._letters: dead_letters.Summary | None = None
        self._lines: list[incomplete.Line] | None = None
        self._held: Held | None = None
        self._moved: Moved | None = None

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

    async def census(self) -> "Census":
        """Return the messages that wait for a send result or that several tenants claim."""
        return (await self._states()).census

    async def moved(self) -> "Moved":
        """Return the messages that wait at one number and have their send at another."""
        if self._moved is None:
            moved = Moved.of((await self.census()).waiting)
            if moved.waiting:
                states = self.settings.names.changelog(STATES)
                async for record in read_to_end(self.settings.kafka, [states], SCAN_SECONDS):
                    if table_of(record.key) == MESSAGES.table:
                        moved.apply(record.key[1:], record.value)
            self._moved = moved
        return self._moved

    async def crowds(self) -> "Crowds":
        """Return the identifiers that identify no customer, and the largest customer."""
        return (await self._states()).crowds

    async def _states(self) -> "Held":
        if self._held is None:
            held = Held(Census(), Crowds())
            states = self.settings.names.changelog(STATES)
            async for record in read_to_end(self.settings.kafka, [states], SCAN_SECONDS):
                held.apply(record.key, record.value)
            self._held = held
        return self._held


class Held(Struct, frozen=True):
    """What the changelog of states says of messages and customers."""

    census: "Census"
    crowds: "Crowds"

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Apply a record of the changelog; a later record of a key replaces an earlier one."""
        table, subject = table_of(key), key[1:]
        if table == MESSAGES.table:
            self.census.apply(subject, value)
        elif table == CUSTOMERS.table:
            self.crowds.apply(subject, value)


class Census(Struct):
    """Messages without a send result, and messages that several tenants claim.

    Most messages without a send result belong to no campaign and never will. All claims but one are wrong:
    some producer publishes message ids of other tenants.
    """

    waiting: set[bytes] = field(default_factory=set)
    contested: set[bytes] = field(default_factory=set)

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Apply the state of a message; a later one replaces an earlier one."""
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


class Moved(Struct):
    """Messages that wait at one business number, though a send result names them at another.

    Mostly the number got another id, under which its statuses come, and nobody has said so.
    """

    waiting: dict[bytes, bytes]
    """The keys of waiting messages, by what follows the number in them."""
    sent: dict[bytes, bytes] = field(default_factory=dict)
    """Of these the keys of the messages that have a send."""

    @staticmethod
    def of(waiting: Collection[bytes]) -> "Moved":
        """Return what looks for the sends of these messages; keys without a token are left out."""
        parts = {key.partition(b"/")[2]: key for key in waiting}
        # An id of a gateway's own may be another message at each number; a token is not.
        return Moved({part: key for part, key in parts.items() if not part.startswith(b"x/")})

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Apply the state of a message; a later one replaces an earlier one."""
        part = key.partition(b"/")[2]
        if part not in self.waiting or key == self.waiting[part]:
            return
        claim = None if value is None else MESSAGES.decode(value).claim
        if claim is not None and claim.tenant:
            self.sent[part] = key
        elif self.sent.get(part) == key:
            del self.sent[part]

    def __str__(self) -> str:
        pairs = Counter((_number(self.waiting[part]), _number(key)) for part, key in self.sent.items())
        shown = [f"{count} at {here}, sent at {there}" for (here, there), count in pairs.most_common(SHOWN)]
        more = ["..."] if len(pairs) > SHOWN else []
        advice = ["if these are ids of one number: `tally numbers set NEW TENANT --successor-of OLD`"]
        return "; ".join([*shown, *more, *advice]) if shown else "none"


class Crowds(Struct):
    """Identifiers linked with too many others to identify a customer, and the largest customer.

    Such an identifier comes from a producer or gateway that fills in one phone, user id or message id for
    many people.
    """

    refused: set[bytes] = field(default_factory=set)
    incomplete: set[bytes] = field(default_factory=set)
    sizes: dict[bytes, int] = field(default_factory=dict)

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Apply the state of a customer; a later one replaces an earlier one."""
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
        """How many identifiers are refused for their links, not for the size of a customer."""
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
    # The rest of a key need not be text: a message id among customers' identifiers is a digest.
    numbers = Counter(map(_number, subjects))
    shown = [f"{number}: {count}" for number, count in numbers.most_common(SHOWN)]
    return ", ".join([*shown, *(["..."] if len(numbers) > SHOWN else [])]) or "none"


def _number(key: bytes) -> str:
    """Return the business number in a key."""
    return split_parts(key.partition(b"/")[0])[0]
