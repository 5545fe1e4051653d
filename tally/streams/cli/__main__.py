"""`python -m tally.streams.cli`, for supervisors that start a given interpreter."""

from tally.streams.cli.main import main

main()
