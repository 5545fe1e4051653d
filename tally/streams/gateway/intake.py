"""The intake of requests: room for their bodies, publishing within a deadline, the answer by its outcome."""

from collections.abc import Callable

from aiohttp import web

from tally.schemas.topics import Names
from tally.streams.gateway.bodies import CUT, TOO_LARGE, Unread
from tally.streams.gateway.observer import Clocks, GatewayObserver
from tally.streams.gateway.publishing import Publishing
from tally.streams.gateway.queued import Ending, Record
from tally.streams.gateway.room import Room, Share
from tally.streams.web.responses import Handler, error_response

ACK_SECONDS = 2.5
"""How long a request waits for the brokers: a refusal comes within three seconds of its last byte."""
RETRY_AFTER_SECONDS = 3


class Intake:
    """What all requests that publish have in common."""

    def __init__(
        self, publishing: Publishing, room: Room, names: Names, observer: GatewayObserver, clocks: Clocks
    ) -> None:
        self._publishing = publishing
        self._room = room
        self._names = names
        self._observer = observer
        self._clocks = clocks

    def share(self) -> Share:
        """Give one request a share of the room for bodies, for the time of a context."""
        return Share(self._room)

    async def publish(self, topic: str, records: list[Record]) -> None:
        """Return once the brokers have all records. Raises Unread: some of them may be there then."""
        began_s = self._clocks.seconds()
        ending = await self._publishing.publish(self._names.raw(topic), records, ACK_SECONDS)
        if (refused := self._refused(ending, began_s)) is not None:
            raise refused

    def begin(self, topic: str, record: Record, ended: Callable[[Unread | None], None]) -> None:
        """Publish one record, and call `ended` with None once the brokers have it, or as `publish` raises."""
        began_s = self._clocks.seconds()
        self._publishing.begin(
            self._names.raw(topic),
            record,
            ACK_SECONDS,
            lambda ending: ended(self._refused(ending, began_s)),
        )

    def _refused(self, ending: Ending, began_s: float) -> Unread | None:
        if ending == "safe":
            self._observer.acknowledged(self._clocks.seconds() - began_s)
            return None
        if ending == "too_large":
            return Unread(413, "too_large", TOO_LARGE)
        # Why is in the log of publishing: the sender can only send it again.
        return Unread(503, "unavailable", "the brokers did not acknowledge it; send it again")


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what was not taken; close the connection, since the rest of a body may still come over it."""
    try:
        return await handler(request)
    except Unread as refused:
        response = refusal(refused)
        if refused.code == CUT or not request.content.is_eof():
            response.force_close()
        return response


def refusal(refused: Unread) -> web.Response:
    """Return the answer to a request that was not taken; 503 says when to come again. Pure."""
    response = error_response(refused.status, refused.code, str(refused))
    if refused.status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
