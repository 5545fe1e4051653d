"""`python -m tally.streams.cli`, for supervisors that know their interpreter."""

from tally.streams.cli.main import main

main()
