"""Ways to request one campaign from the read API."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.reads_answers import path_of
from bench.reads_client import KeptConnection
from bench.reads_events import BIG, UNCHANGED
from bench.reads_turns import Ask

OK, NOT_MODIFIED = 200, 304


@contextmanager
def asking(url: str) -> Iterator[dict[str, Ask]]:
    """Yield the ways to ask, each on a persistent connection."""
    big, unchanged = path_of(BIG), path_of(UNCHANGED)
    with (
        KeptConnection(url, big) as first,
        KeptConnection(url, unchanged) as second,
        KeptConnection(url, unchanged) as third,
    ):
        yield {"moving": whole(first), "unchanged": whole(second), "not modified": if_changed(third)}


def whole(connection: KeptConnection) -> Ask:
    """Return a way to ask without an ETag."""
    known = b""

    async def ask() -> bool:
        nonlocal known
        answer = connection.get()
        assert answer.status == OK, answer
        before, known = known, answer.tag
        return before != known

    return ask


def if_changed(connection: KeptConnection) -> Ask:
    """Return a way to ask with the ETag of the last answer."""
    known = connection.get().tag

    async def ask() -> bool:
        nonlocal known
        answer = connection.get(known)
        known = answer.tag
        return answer.status != NOT_MODIFIED

    return ask
