"""Reads rate cards: Meta's own CSV, and a simple one with a rate a line. Pure.

A card is read as a whole: what is wrong with any line is said with its number, and then nothing of it counts.
"""

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from io import StringIO

from msgspec import Struct

from tally.schemas.market_prefixes import PREFIXES
from tally.schemas.rates.areas import market_named
from tally.schemas.rates.card import Card, Complaint, Key, Rate, overlaps

REGIONS = frozenset(PREFIXES)
META_COLUMNS: Mapping[str, str] = {
    "marketing": "marketing",
    "utility": "utility",
    "authentication": "authentication",
    "authentication-international": "authentication_international",
    "service": "service",
}
"""The columns of Meta's cards that hold rates, and their categories."""
SIMPLE_COLUMNS = ("effective_from", "currency", "market", "category", "rate")
CATEGORIES = frozenset(
    {*META_COLUMNS.values(), "marketing_lite", "referral_conversion", "group_marketing", "group_utility"}
    | {"group_service"}
)
NO_RATE = frozenset({"", "n/a", "-"})
MICROS = 1_000_000
FIRST_DAY, LAST_DAY = date(2009, 1, 1), date(9998, 12, 31)
"""No message is sent before WhatsApp began; the last year has no days in zones east of UTC."""
A_RATE = "a rate such as 0.0625, with at most six decimals"
_RATE = re.compile(r"\d{1,9}(?:\.(\d{1,6}))?", re.ASCII)
_COMMA = re.compile(r"[\d.]+,\d+", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


class BadCard(ValueError):
    """A card that cannot be read; `complaints` says what is wrong, by line."""

    def __init__(self, complaints: list[Complaint]) -> None:
        super().__init__("\n".join(map(str, complaints)))
        self.complaints = complaints


class ReadCard(Struct, frozen=True):
    """The rates of a file."""

    rates: list[Rate]
    is_whole: bool
    """Whether it is one of Meta's, which has all rates of its currency from its day on."""

    @property
    def currencies(self) -> list[str]:
        """The currencies that it has rates in, sorted."""
        return sorted({rate.key.currency for rate in self.rates})

    def card(self, currency: str) -> Card:
        """Return the rates of one currency."""
        return Card(currency, self.rates)


Row = tuple[int, list[str]]
"""The number of a row's first line, and its cells."""


def read_card(data: bytes, since: date | None = None) -> ReadCard:
    """Read a card. Meta's cards do not say from when on they hold: that is `since`. Raises BadCard."""
    rows = _rows(data)
    for at, (line, cells) in enumerate(rows):
        header = [_column(cell) for cell in cells]
        if header[:2] == ["market", "currency"]:
            return _checked(_MetaRows(line, header, since).read(rows[at:]), is_whole=True)
        if set(SIMPLE_COLUMNS) <= set(header):
            return _checked(_SimpleRows(line, header).read(rows[at:]), is_whole=False)
    said = f"no header: expected Market,Currency,Marketing,… or {','.join(SIMPLE_COLUMNS)}"
    raise BadCard([Complaint(1, said)])


def _checked(found: Iterator[Rate | Complaint], is_whole: bool) -> ReadCard:
    rates, complaints = [], []
    for one in found:
        if isinstance(one, Complaint):
            complaints.append(one)
        else:
            rates.append(one)
    complaints += overlaps(rates)
    if not rates and not complaints:
        complaints.append(Complaint(1, "no rates: expected a line for each market"))
    if complaints:
        raise BadCard(sorted(complaints))
    return ReadCard(rates, is_whole)


def _rows(data: bytes) -> list[Row]:
    if data.startswith(b"\xef\xbb\xbf"):
        raise BadCard([Complaint(1, "begins with a byte-order mark: expected UTF-8 without one")])
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadCard([Complaint(line, "no UTF-8")]) from None
    for number, written in enumerate(text.splitlines(), 1):
        if written.casefold().startswith(("market;", "effective_from;")):
            raise BadCard([Complaint(number, "columns are separated by semicolons: expected commas")])
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    line = 1
    try:
        for cells in reader:
            rows.append((line, [cell.strip() for cell in cells]))
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadCard([Complaint(line, f"no CSV: {error}")]) from None
    return rows


def _column(cell: str) -> str:
    """Return a column's name; Meta breaks a line within one."""
    return re.sub(r"\s+", "", cell).casefold() if "-" in cell else cell.casefold()


class _Rows:
    """What the two kinds of cards have in common."""

    def __init__(self, line: int, header: list[str], columns: Collection[str]) -> None:
        """Take the header. Raises BadCard for an unknown column, and for two of one name."""
        self._header = header
        for column in header:
            if column not in columns:
                expected = ", ".join(filter(None, columns))
                raise BadCard([Complaint(line, f"unknown column {column}: expected {expected}")])
            if column and header.count(column) > 1:
                raise BadCard([Complaint(line, f"column {column} is there twice: expected once")])

    def read(self, rows: list[Row]) -> Iterator[Rate | Complaint]:
        for line, cells in rows[1:]:
            if not any(cells):
                continue
            if len(cells) != len(self._header):
                said = f"{len(cells)} columns: expected {len(self._header)}, as in the header"
                comma = ", and a decimal point, no comma" if len(cells) > len(self._header) else ""
                yield Complaint(line, said + comma)
                continue
            try:
                named = list(zip(self._header, cells, strict=True))
                if nameless := [cell for column, cell in named if cell and not column]:
                    raise ValueError(f"{nameless[0]} in a column without a name: expected none")
                yield from self._rates(line, dict(named))
            except ValueError as error:
                yield Complaint(line, str(error))

    def _rates(self, line: int, cells: Mapping[str, str]) -> list[Rate]:
        raise NotImplementedError


class _MetaRows(_Rows):
    """Meta's cards: a market a line, a category a column."""

    def __init__(self, line: int, header: list[str], since: date | None) -> None:
        # Spreadsheets end lines with commas.
        super().__init__(line, header, ("market", "currency", *META_COLUMNS, ""))
        if since is None:
            raise BadCard([Complaint(1, "Meta's cards do not say from when on they hold: say it (--from)")])
        try:
            self._since = _checked_day(since, "--from")
        except ValueError as error:
            raise BadCard([Complaint(1, str(error))]) from None

    def _rates(self, line: int, cells: Mapping[str, str]) -> list[Rate]:
        market, currency = _market(cells["market"]), _currency(cells["currency"])
        return [
            Rate(Key(currency, market, category), self._since, _micros(cells[column]), line=line)
            for column, category in META_COLUMNS.items()
            if column in cells
        ]


class _SimpleRows(_Rows):
    """A rate a line."""

    def __init__(self, line: int, header: list[str]) -> None:
        super().__init__(line, header, (*SIMPLE_COLUMNS, "effective_until"))

    def _rates(self, line: int, cells: Mapping[str, str]) -> list[Rate]:
        since = _day(cells["effective_from"], "effective_from")
        until = cells.get("effective_until", "")
        end = _day(until, "effective_until") if until else None
        if end is not None and end <= since:
            raise ValueError(f"effective_until {end}: expected a day after effective_from")
        category = cells["category"]
        if category not in CATEGORIES:
            raise ValueError(f"unknown category {category}: expected one of {', '.join(sorted(CATEGORIES))}")
        key = Key(_currency(cells["currency"]), _market(cells["market"]), category)
        return [Rate(key, since, _micros(cells["rate"]), end, end, line)]


def _market(written: str) -> str:
    market = market_named(written, REGIONS)
    if market is None:
        raise ValueError(f"unknown market {written}: expected an ISO region, or a name as in Meta's cards")
    return market


def _currency(written: str) -> str:
    """Return the ISO code of a currency; Meta's oldest cards write $US."""
    currency = "USD" if written == "$US" else written
    if not CURRENCY.fullmatch(currency):
        raise ValueError(f"currency {written}: expected three capital letters, such as USD")
    return currency


def _micros(written: str) -> int | None:
    if written.casefold() in NO_RATE:
        return None
    found = _RATE.fullmatch(written)
    if found is None:
        comma = "a decimal comma: " if _COMMA.fullmatch(written) else ""
        raise ValueError(f"rate {written}: {comma}expected {A_RATE}")
    whole, _, decimals = written.partition(".")
    return int(whole) * MICROS + int(decimals.ljust(6, "0") or 0)


def _day(written: str, column: str) -> date:
    try:
        day = date.fromisoformat(written) if _DAY.fullmatch(written) else None
    except ValueError:
        day = None
    if day is None:
        raise ValueError(f"{column} {written}: expected a day such as 2026-10-01")
    return _checked_day(day, column)


def _checked_day(day: date, column: str) -> date:
    """Return a day on which messages may be sent. Raises ValueError."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"{column} {day}: expected a day from {FIRST_DAY} to {LAST_DAY}")
    return day
