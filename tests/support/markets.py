"""Derives the prefixes of `tally/schemas/market_prefixes.py` from phonenumbers' data.

    python -m tests.support.markets > tally/schemas/market_prefixes.py

A calling code that several regions share says little: +1 is twenty-five of them. phonenumbers tells them
apart by regular expressions over whole national numbers, first match first. Here these run as automata, digit
by digit, over all numbers at once: a prefix is written down as soon as all valid numbers that begin with it
are of one region.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from textwrap import wrap

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

DIGITS = "0123456789"
WORLD = "001"
"""phonenumbers' region of calling codes that are no country's, as those of satellites."""
TYPES = (
    *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost"),
    *("personal_number", "voip", "pager", "voicemail"),
)
"""Without `uan`: Canada's 310-1234 is dialled within Canada alone, and would put ten thousand Californian
prefixes beside each other."""
TOKEN = re.compile(r"\\d|\d|\[[-\d]+\]|\(\?:|\||\)|\?|\{\d+(?:,\d+)?\}")
LONGEST = 15
"""Digits of a number after its calling code, at most."""
LINE = 96
"""Characters of prefixes in a line of the module."""

Threads = frozenset[int]
"""The nodes at which an automaton may stand."""
Piece = Callable[[int], int]
"""Adds a part of an expression behind a node; returns the node at which it ends."""


class Automaton:
    """A regular expression over digits: literals, classes, groups, alternatives, `?` and counts."""

    def __init__(self, expression: str, is_prefix: bool) -> None:
        self._steps: list[list[tuple[str, int]]] = []
        self._free: list[list[int]] = []
        tokens = TOKEN.findall(expression)
        if "".join(tokens) != expression:
            raise ValueError(f"no such expression is known: {expression}")
        tokens.reverse()
        first = self._node()
        self._end = self._alternatives(tokens)(first)
        if is_prefix:
            self._steps[self._end].append((DIGITS, self._end))
        self.start = self._closed({first})

    def step(self, threads: Threads, digit: str) -> Threads:
        """Return where it may stand after one more digit."""
        return self._closed({to for at in threads for among, to in self._steps[at] if digit in among})

    def accepts(self, threads: Threads) -> bool:
        """Return whether what was read matches."""
        return self._end in threads

    def _node(self) -> int:
        self._steps.append([])
        self._free.append([])
        return len(self._steps) - 1

    def _closed(self, threads: set[int]) -> Threads:
        waiting = list(threads)
        while waiting:
            new = set(self._free[waiting.pop()]) - threads
            threads |= new
            waiting += new
        return frozenset(threads)

    def _alternatives(self, tokens: list[str]) -> Piece:
        choices = [self._sequence(tokens)]
        while tokens and tokens[-1] == "|":
            tokens.pop()
            choices.append(self._sequence(tokens))
        return partial(self._any_of, choices)

    def _sequence(self, tokens: list[str]) -> Piece:
        pieces: list[Piece] = []
        while tokens and tokens[-1] not in {"|", ")"}:
            read = tokens.pop()
            if read == "(?:":
                piece = self._alternatives(tokens)
                tokens.pop()
            else:
                piece = partial(self._digit, _digits_of(read))
            least, most = _count(tokens)
            pieces += [piece] * least + [partial(self._any_of, [piece, _nothing])] * (most - least)
        return partial(_one_by_one, pieces)

    def _digit(self, among: str, at: int) -> int:
        self._steps[at].append((among, end := self._node()))
        return end

    def _any_of(self, choices: Sequence[Piece], at: int) -> int:
        end = self._node()
        for choice in choices:
            self._free[at].append(begin := self._node())
            self._free[choice(begin)].append(end)
        return end


def _one_by_one(pieces: Sequence[Piece], at: int) -> int:
    for piece in pieces:
        at = piece(at)
    return at


def _nothing(at: int) -> int:
    return at


def _digits_of(read: str) -> str:
    return "".join(re.findall(read, DIGITS))


def _count(tokens: list[str]) -> tuple[int, int]:
    """Return how often what was read stands at least and at most."""
    if not tokens or tokens[-1][0] not in "?{":
        return 1, 1
    read = tokens.pop()
    if read == "?":
        return 0, 1
    bounds = [int(bound) for bound in read[1:-1].split(",")]
    return bounds[0], bounds[-1]


class SharedCode:
    """A calling code of several regions."""

    def __init__(self, code: int, regions: Sequence[str]) -> None:
        self._code = str(code)
        self._regions = regions
        self._automata = [Automaton(*_expression(region)) for region in regions]
        self._known: dict[tuple[Threads, ...], frozenset[str]] = {}

    def prefixes(self) -> Iterator[tuple[str, str]]:
        """Yield prefixes with their regions; a longer one stands where it says something else."""
        yield self._code, self._regions[0]
        start = tuple(automaton.start for automaton in self._automata)
        yield from self._below(self._code, start, self._regions[0])

    def _below(self, prefix: str, state: tuple[Threads, ...], said: str) -> Iterator[tuple[str, str]]:
        regions = self._regions_of(state, LONGEST)
        if not regions:
            return
        ends = self._ending(state)
        region = next(iter(regions)) if len(regions) == 1 else (ends or said)
        if region != said:
            yield prefix, region
        if len(regions) > 1:
            for digit in DIGITS:
                yield from self._below(prefix + digit, self._step(state, digit), region)

    def _step(self, state: tuple[Threads, ...], digit: str) -> tuple[Threads, ...]:
        return tuple(
            automaton.step(threads, digit) for automaton, threads in zip(self._automata, state, strict=True)
        )

    def _ending(self, state: tuple[Threads, ...]) -> str | None:
        """Return the first region of which a number that ends here is."""
        found = zip(self._regions, self._automata, state, strict=True)
        return next((region for region, automaton, threads in found if automaton.accepts(threads)), None)

    def _regions_of(self, state: tuple[Threads, ...], more: int) -> frozenset[str]:
        """Return the regions of all valid numbers that go on from here, by at most so many digits."""
        known = self._known.get(state)
        if known is None:
            ends = self._ending(state)
            known = frozenset({ends} if ends else ())
            if more and any(state):
                for digit in DIGITS:
                    after = self._step(state, digit)
                    if after != state:
                        known |= self._regions_of(after, more - 1)
            self._known[state] = known
        return known


def _expression(region: str) -> tuple[str, bool]:
    """Return what tells a region's numbers from its neighbours', and whether it is of their beginning."""
    metadata = PhoneMetadata.metadata_for_region(region)
    assert metadata is not None
    if metadata.leading_digits is not None:
        return metadata.leading_digits, True
    kinds = (getattr(metadata, kind) for kind in TYPES)
    patterns = [kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern]
    return "|".join(patterns), False


def derived() -> dict[str, str]:
    """Return the region of each prefix, by prefix."""
    found: dict[str, str] = {}
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        if WORLD not in regions:
            found |= SharedCode(code, regions).prefixes() if len(regions) > 1 else {str(code): regions[0]}
    return dict(sorted(found.items()))


def module(regions: Mapping[str, str]) -> str:
    """Return the text of the module that holds the prefixes, by region."""
    of: dict[str, list[str]] = defaultdict(list)
    for prefix, region in regions.items():
        of[region].append(prefix)
    lines = [line for region in sorted(of) for line in _lines(region, of[region])]
    return HEAD.format(version=version("phonenumbers")) + "\n".join(lines) + "\n}\n"


HEAD = '''"""The prefixes of each region's phone numbers, from phonenumbers {version}; not written by hand.

`python -m tests.support.markets > tally/schemas/market_prefixes.py` writes it again.
"""

# fmt: off
PREFIXES = {{
'''


def _lines(region: str, prefixes: Sequence[str]) -> list[str]:
    parts = wrap(" ".join(prefixes), LINE)
    if len(parts) == 1:
        return [f'    "{region}": "{parts[0]}",']
    inner = [f'        "{part} "' for part in parts[:-1]] + [f'        "{parts[-1]}"']
    return [f'    "{region}": (', *inner, "    ),"]


if __name__ == "__main__":
    print(module(derived()), end="")  # noqa: T201 - what it is for
