"""Tables and numbers of the page."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def rate(per_second: float) -> str:
    """Return a rate as text, without decimals."""
    return f"{per_second:,.0f}"


def ms(figure: float) -> str:
    """Return milliseconds as text; small ones have decimals."""
    return f"{figure:,.0f} ms" if figure >= 100 else f"{figure:.1f} ms" if figure >= 1 else f"{figure:.2f} ms"


def us(figure: float) -> str:
    """Return microseconds as text."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}"
