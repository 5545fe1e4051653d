"""A cache of answers, valid while their rows do not change: many people watch few campaigns."""

from collections import OrderedDict
from typing import NamedTuple

KEPT_BYTES = 32 << 20
"""The bound is in bytes, not answers: an answer has a kilobyte for each template that it shows."""


class AnswerKey(NamedTuple):
    """The campaign of an answer, and the version of the rows that it was made from."""

    tenant: str
    campaign: str
    version: bytes


class KeptAnswers:
    """The most recently requested answers, `most_bytes` at most."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[AnswerKey, bytes] = OrderedDict()

    def get(self, key: AnswerKey) -> bytes | None:
        """Return a kept answer, or None."""
        if (answer := self._answers.get(key)) is not None:
            self._answers.move_to_end(key)
        return answer

    def keep(self, key: AnswerKey, answer: bytes) -> None:
        """Keep an answer, and evict the least recently requested ones beyond the bound."""
        self._bytes += len(answer) - len(self._answers.pop(key, b""))
        self._answers[key] = answer
        while self._bytes > self._most_bytes:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= len(oldest)
