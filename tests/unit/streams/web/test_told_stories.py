"""Stories are told a few at once, and without brokers they are told without what was published."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from tally.schemas.conventions import CONVENTIONS
from tally.schemas.places import place_number
from tally.streams.web import told_stories
from tally.streams.web.told_stories import AT_ONCE, Busy, Found, Stories, span_of
from tally.tables.kafka.raw_records import Span
from tally.tables.rules import Rules

pytestmark = pytest.mark.asyncio

SUBJECT = b"s" * 16
LINE = {
    **{"tenant": "t1", "campaign": "c1", "grain": "template", "family": "messages", "number": "n1"},
    **{"subject": SUBJECT, "line": b"l" * 16, "contact": "", "attempt": "1", "phone": ""},
    **{"counters": ["accepted"], "counts": None, "kinds": ["accepted"], "kinds_at_ms": [5]},
    "places": [place_number("send-results", 0, 7)],
}


class Postgres:
    """Finds these lines once it may answer."""

    def __init__(self, *lines: dict[str, Any]) -> None:
        self.found = Found(lines, [])
        self.may_answer = asyncio.Event()

    async def ask(self, *_: object) -> tuple[Found, None]:
        await self.may_answer.wait()
        return self.found, None


class Refusing:
    """Raw topics that this process may not read."""

    async def at(self, *_: object) -> Any:
        raise TopicAuthorizationFailedError

    between = at


def telling(postgres: Postgres) -> Stories:
    unused: Any = None
    reader: Any = postgres
    return Stories(reader, unused, Refusing(), Rules(), lambda: CONVENTIONS, 1)


async def test_beyond_as_many_as_may_be_told_at_once_a_story_has_to_be_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(told_stories, "WAIT_SECONDS", 0.01)
    postgres = Postgres()
    stories = telling(postgres)
    first = [asyncio.create_task(stories.tell("t1", {SUBJECT})) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)

    with pytest.raises(Busy):
        await stories.tell("t1", {SUBJECT})
    postgres.may_answer.set()

    assert await asyncio.gather(*first) == [None] * AT_ONCE
    assert await stories.tell("t1", {SUBJECT}) is None


async def test_a_view_that_may_not_read_raw_topics_tells_what_is_stored() -> None:
    postgres = Postgres(LINE, LINE | {"tenant": "t2", "kinds": ["claimed_elsewhere"]})
    postgres.may_answer.set()

    story = await telling(postgres).tell("t1", {SUBJECT})

    assert story is not None
    assert (story.records, story.is_explained) == (None, False)
    assert [line["tenant"] for line in story.lines] == ["t1"]
    assert [one.kinds for one in story.told] == [("accepted",)]
    assert await telling(postgres).tell("t3", {SUBJECT}) is None


async def test_of_a_call_no_longer_span_is_read_than_may_be() -> None:
    places = [place_number("ami-events", 3, offset) for offset in (9, 5, 7)]

    assert span_of([*places, place_number("send-results", 0, 1)]) == Span("ami-events", 3, 5, 9)
    assert span_of([*places, place_number("ami-events", 3, 5 + told_stories.MOST_BETWEEN + 1)]) is None
    assert span_of([*places, place_number("ami-events", 2, 6)]) is None
    assert span_of([]) is None
