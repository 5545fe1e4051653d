"""How the processes of a worker end: when each is stopped, and with which code the worker ends. Pure.

Route is stopped first, so that nothing new comes; then the fold, which commits what it has, with what
writes to Postgres; the view last, so that the web port answers until nothing more is to be shown. No number
depends on this order, since each process may be killed at any time: it saves work that would be done again.
"""

from collections.abc import Sequence
from signal import SIGTERM

from msgspec import Struct

STOP_SECONDS = 18.0
"""Time for all processes to stop. What still runs then is killed, so that a worker ends within 20 s."""
TURN_SECONDS = 6.0
"""How long a process may take before the next is asked to stop as well; route drains for 5 s at most."""
STUCK_CODE = 70
"""EX_SOFTWARE, the code of a worker whose stop took longer than its deadline."""
WRONG_CODE = 2
"""The code of a process that another start would not help, as of every command."""


class Ended(Struct, frozen=True):
    """The end of one process."""

    name: str
    code: int
    """Exit code, or minus the signal's number, as `subprocess` gives it."""
    asked: bool = False
    """Whether it had been asked to stop."""
    killed: bool = False
    """Whether it was killed because it did not stop in time."""


def turn(since_s: float, running: Sequence[bool], turn_seconds: float = TURN_SECONDS) -> int:
    """Return how many processes have to be asked to stop by now, from the first.

    `since_s` is the time since the stop began; `running` says of each process, in the order of stopping,
    whether it still runs. A process is asked once all before it have ended, or its turn has come by time.
    """
    ended_before = next((index for index, runs in enumerate(running) if runs), len(running))
    return min(len(running), max(ended_before, int(since_s / turn_seconds)) + 1)


def exit_code(ends: Sequence[Ended]) -> int:
    """Return the code of a worker whose processes ended in this order.

    It is that of the first process that ended by itself. Where all were asked to, it is that of the first
    that failed at stopping, else 0.
    """
    for end in ends:
        if not end.asked:
            return as_shells_say(end.code)
    return next((code for end in ends if (code := _code_of_stop(end)) != 0), 0)


def as_shells_say(code: int) -> int:
    """Return an exit code, with 128 + n for an end by signal n."""
    return 128 - code if code < 0 else code


def _code_of_stop(end: Ended) -> int:
    if end.killed:
        return STUCK_CODE
    # A process that was asked before it had set up its handlers ends by the signal itself.
    return 0 if end.code == -SIGTERM else as_shells_say(end.code)
