"""The HTTP server's own log lines: few a minute, with the number of dropped ones."""

import logging
import sys

from aiohttp.http_exceptions import BadStatusLine

from tally.streams.web.complaints import MINUTE_SECONDS, MOST_A_MINUTE, Complaints


def line(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except type(error):
        return logging.LogRecord(
            "server", logging.ERROR, "", 0, "Error handling request from %s", ("10.0.0.1",), sys.exc_info()
        )


def test_lines_of_a_minute_are_bounded_and_the_next_minute_says_how_many_there_were() -> None:
    now_s = 100.0
    complaints = Complaints(lambda: now_s)
    written = [complaints.filter(line(BadStatusLine("+31612345678"))) for _ in range(MOST_A_MINUTE + 5)]
    assert written == [True] * MOST_A_MINUTE + [False] * 5

    now_s += MINUTE_SECONDS
    said = line(BadStatusLine("+31612345678"))
    assert complaints.filter(said)
    assert said.getMessage() == "a malformed request: BadStatusLine (and 5 lines like it before)"
    assert (said.levelno, said.exc_info) == (logging.WARNING, None)

    after = line(BadStatusLine("x"))
    assert complaints.filter(after)
    assert after.getMessage() == "a malformed request: BadStatusLine"


def test_what_is_our_own_fault_keeps_its_traceback() -> None:
    said = line(ZeroDivisionError())
    assert Complaints(lambda: 0.0).filter(said)
    assert said.exc_info is not None
    assert (said.levelno, said.getMessage()) == (logging.ERROR, "Error handling request from 10.0.0.1")
