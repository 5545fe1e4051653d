"""`python -m tally.streams.processes PLAN`: what `tally worker` becomes where it has several processes."""

import asyncio
import logging
import sys

import structlog
from msgspec import json

from tally.streams.processes.endings import STUCK_CODE, WRONG_CODE
from tally.streams.processes.front import NotServed
from tally.streams.processes.parent import Parent
from tally.streams.processes.split import Plan
from tally.streams.runtime import logs
from tally.streams.runtime.descriptors import raise_descriptors


def main() -> None:
    """Run the parent of a worker's processes, and exit with the worker's code."""
    plan = json.decode(sys.argv[1], type=Plan)
    logs.configure(plan, "parent")
    raise_descriptors()
    try:
        code = asyncio.run(Parent(plan).run())
    except NotServed as error:
        sys.stderr.write(f"{error}\n")
        code = WRONG_CODE
    except Exception:
        # The children see that their parent is gone, and end as well.
        structlog.get_logger().critical("the worker's parent process failed", exc_info=True)
        code = STUCK_CODE
    logging.shutdown()
    sys.exit(code)


if __name__ == "__main__":
    main()
