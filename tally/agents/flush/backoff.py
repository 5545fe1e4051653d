"""How long to leave Postgres alone after failures. Pure."""

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 5.0
"""Short, so that rows are on their way again soon after Postgres is back."""


class Backoff:
    """How long to leave Postgres alone after failures in a row: doubling, bounded, never in step."""

    def __init__(self) -> None:
        self.failures = 0
        self.since_seconds: float | None = None
        """When the first of them happened."""
        self.until_seconds = 0.0
        self.trouble = ""
        """The last failure in words; empty is well."""

    def failed(self, trouble: str, now_seconds: float, jitter: float) -> None:
        """Note a failure; `jitter` is from 0 to 1."""
        if not self.failures:
            self.since_seconds = now_seconds
        self.failures += 1
        longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self.failures, 10))
        self.until_seconds = now_seconds + longest * (0.5 + jitter / 2)
        self.trouble = trouble

    def succeeded(self) -> None:
        """Note that it works again."""
        self.failures = 0
        self.since_seconds = None
        self.until_seconds = 0.0
        self.trouble = ""
