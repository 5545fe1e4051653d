"""`python -m tally.streams.worker ROLES CHANNEL [CONNECTIONS]`: one process of a worker that has several.

It is started by the worker's parent (streams/processes), with the descriptors of its channel and of the
connections that it is given.
"""

import socket
import sys

from tally.streams.processes.endings import WRONG_CODE
from tally.streams.processes.member import Member
from tally.streams.runtime.run import fail
from tally.streams.settings import load
from tally.streams.worker.folder import FolderTaken
from tally.streams.worker.start import run


def main() -> None:
    """Run some roles of a worker, tied to its parent."""
    roles, *descriptors = sys.argv[1:]
    channel, *connections = (socket.socket(fileno=int(one)) for one in descriptors)
    member = Member(channel, connections[0] if connections else None)
    member.watch_parent(fail)
    try:
        run(load(roles=roles), member)
    except FolderTaken as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(WRONG_CODE)


if __name__ == "__main__":
    main()
