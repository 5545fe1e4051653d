"""The `tally` command."""

from tally.streams.cli.main import main

__all__ = ["main"]
