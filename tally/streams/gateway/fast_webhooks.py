"""Webhooks as Meta posts them, nothing odd about them, and there whole: nearly all of a gateway's load."""

from collections.abc import Callable, Sequence

from aiohttp import HttpVersion11, web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader

from tally.streams.gateway.apps import App
from tally.streams.gateway.bodies import FULL, Unread
from tally.streams.gateway.intake import Intake, refusal
from tally.streams.gateway.observer import Clocks, GatewayObserver
from tally.streams.gateway.room import NoRoom
from tally.streams.gateway.signature import SIGNATURE
from tally.streams.gateway.webhooks import JSON, PATH, TOPIC, outcome_of, signed_record
from tally.streams.web.journal import REQUEST_ID, Journal, request_id_of
from tally.streams.web.written import Written

UNUSUAL = ("Content-Encoding", "Expect", "Upgrade")
"""Headers whose meaning is left to aiohttp, and to `Webhooks`."""


class FastWebhooks:
    """Answers usual webhooks, as `Webhooks` would."""

    def __init__(
        self,
        apps: Sequence[App],
        intake: Intake,
        observer: GatewayObserver,
        journal: Journal,
        clocks: Clocks,
    ) -> None:
        self._apps = {PATH.format(app=app.name): (app, app.keys) for app in apps}
        self._intake = intake
        self._observer = observer
        self._journal = journal
        self._clocks = clocks
        self._accepted = Written(web.Response())

    def offer(self, message: RawRequestMessage, body: StreamReader, answer: Callable[[bytes], None]) -> bool:
        """Answer a usual webhook, at once or once it is known what became of it; else return False."""
        found = self._apps.get(message.path)
        if found is None or not is_usual(message):
            return False
        (app, keys), began_s = found, self._clocks.seconds()
        request_id = request_id_of(message.headers.get(REQUEST_ID))
        share = self._intake.share()

        def ended(refused: Unread | None) -> None:
            share.give_back()
            self._observer.ended(app.name, "accepted" if refused is None else outcome_of(refused))
            status = 200 if refused is None else refused.status
            took_s = self._clocks.seconds() - began_s
            self._journal.answered(message.method, PATH, status, took_s, request_id)
            written = self._accepted if refused is None else Written(refusal(refused))
            answer(written.to(request_id))

        value = body.read_nowait()
        try:
            share.grow_to(len(value))
            signatures = message.headers.getall(SIGNATURE, [])
            record = signed_record(app, keys, value, signatures, self._clocks.now_ms())
        except NoRoom:
            ended(Unread(503, "full", FULL))
        except Unread as refused:
            ended(refused)
        else:
            self._intake.begin(TOPIC, record, ended)
        return True


def is_usual(message: RawRequestMessage) -> bool:
    """Return whether a request says nothing but what a webhook usually does. Pure."""
    headers = message.headers
    return (
        message.method == "POST"
        and message.version == HttpVersion11
        and not (message.should_close or message.chunked or message.upgrade)
        and headers.getall("Content-Type", ()) in _PLAIN
        and not any(name in headers for name in UNUSUAL)
    )


_PLAIN = [[one] for one in JSON]
