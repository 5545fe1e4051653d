"""The error taxonomy of events: why a raw event, or a part of it, cannot be counted."""

from typing import Literal, get_args

from msgspec import Struct

Reason = Literal[
    "not_json",
    "not_text",
    "too_large",
    "too_many_parts",
    "wrong_type",
    "missing_field",
    "bad_time",
    "bad_id",
    "unknown_version",
    "unknown_object",
    "bad_packet",
    "foreign_number",
    "wrong_key",
    "bad_batch",
    "code_failure",
]
REASONS: tuple[Reason, ...] = get_args(Reason)


class Bad(Struct, frozen=True):
    """One part of a raw event that cannot be counted: where it stands and why."""

    reason: Reason
    path: str
    expected: str
    """What is wanted there; never what the event said instead."""

    @property
    def where(self) -> str:
        """The reason and the path: what many bad parts may have in common."""
        return f"{self.reason} at {self.path}"

    def __str__(self) -> str:
        return f"{self.where} (expected: {self.expected})"


class BadEvent(Exception):
    """A raw event, or the part at `bad.path`, cannot be counted."""

    def __init__(self, reason: Reason, path: str, expected: str) -> None:
        super().__init__(reason, path, expected)
        self.bad = Bad(reason, path, expected)

    def __str__(self) -> str:
        return str(self.bad)


class UnknownFact(Exception):
    """The facts log holds a fact of a family or version that this fold does not know.

    Never skipped: it would be lost for good. Upgrade the fold before route.
    """
