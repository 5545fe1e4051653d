"""Answers that are kept while their rows stay as they are: many people watch few campaigns."""

from collections import OrderedDict
from typing import NamedTuple

KEPT_BYTES = 32 << 20
"""An answer has a kilobyte for each template that it shows, so that their number would bound nothing."""


class AnswerKey(NamedTuple):
    """An answer: of what, and of which rows."""

    tenant: str
    campaign: str
    version: bytes


class KeptAnswers:
    """The answers that were asked for last, up to so many bytes."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[AnswerKey, bytes] = OrderedDict()

    def get(self, key: AnswerKey) -> bytes | None:
        """Return an answer that is kept."""
        if (answer := self._answers.get(key)) is not None:
            self._answers.move_to_end(key)
        return answer

    def keep(self, key: AnswerKey, answer: bytes) -> None:
        """Keep an answer instead of those that nobody has asked for since long."""
        self._bytes += len(answer) - len(self._answers.pop(key, b""))
        self._answers[key] = answer
        while self._bytes > self._most_bytes:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= len(oldest)
