"""The read API: the story of a message, a call or a customer, down to the bytes that were published."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from aiohttp import web
from faust.web import View

from tally.schemas.fields import phone_identifier, user_identifier
from tally.schemas.keys import join_parts
from tally.schemas.tables import CODES
from tally.schemas.wamids import message_key
from tally.streams.keys.access import Needed
from tally.streams.web.admission import OPENS_ALL
from tally.streams.web.endpoints import Endpoint
from tally.streams.web.parameters import BadParameter, Name, Parameter, checked_name, read_id, single
from tally.streams.web.people import note_use
from tally.streams.web.responses import error_response, json_response
from tally.streams.web.story_answers import StoryAnswer, answered
from tally.streams.web.told_stories import Busy, Stories
from tally.tables.postgres.line_records import DIGEST_BYTES, subject_digest

STORIES = web.AppKey("stories", Stories)
RETRY_AFTER_SECONDS = "1"
NUMBER = Parameter(
    "number",
    Name,
    "the business number or PBX, where the id is not the `subject` of a line",
    "text without U+0000",
)
Table = Literal["messages", "calls", "customers"]


def subjects_of(table: Table, text: str, number: str | None, first: Callable[[str], str]) -> set[bytes]:
    """Return the digests of the subjects that an id may mean. Raises BadParameter. Pure."""
    if number is None:
        try:
            subject = bytes.fromhex(text)
        except ValueError:
            subject = b""
        if len(subject) != DIGEST_BYTES:
            raise BadParameter("number must be given with an id that is not the subject of a line")
        return {subject}
    if table == "messages":
        keys = [message_key(first(number), text)]
    elif table == "customers":
        names = (phone_identifier(text), user_identifier(text))
        keys = [join_parts(first(number)) + b"/" + name for name in names]
    else:
        keys = [join_parts(number) + b"/" + name + text.encode() for name in (b"u", b"a")]
    return {subject_digest(CODES[table], key) for key in keys}


async def _tell(request: web.Request, tenant: str, table: Table, text: str) -> web.Response:
    tenant, text = read_id("tenant", tenant), checked_name(table, text)
    query: Mapping[str, Sequence[str]] = {name: request.query.getall(name) for name in request.query}
    stories = request.app[STORIES]
    subjects = subjects_of(table, text, single(query, NUMBER.name), stories.first_number)
    try:
        telling = await stories.tell(tenant, subjects)
    except Busy:
        response = error_response(503, "busy", "other stories are being told: ask again")
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
        return response
    if telling is None or all(one["family"] != table for one in telling.lines):
        return error_response(404, "unknown", "no line is kept of it, or there is no ledger")
    note_use(request, len(telling.lines))
    return json_response(answered(tenant, telling, request.get(OPENS_ALL, False)))


class MessageStory(View):
    """The story of a message."""

    async def get(self, request: web.Request, tenant: str, message: str) -> web.Response:
        """Answer with what it counts, and its facts in order."""
        return await _tell(request, tenant, "messages", message)


class CallStory(View):
    """The story of a call."""

    async def get(self, request: web.Request, tenant: str, call: str) -> web.Response:
        """Answer with what it counts, and its facts in order."""
        return await _tell(request, tenant, "calls", call)


class CustomerStory(View):
    """The story of a customer at one business number."""

    async def get(self, request: web.Request, tenant: str, customer: str) -> web.Response:
        """Answer with what it counts, and its facts in order."""
        return await _tell(request, tenant, "customers", customer)


def _story(name: str, view: type[View]) -> Endpoint:
    return Endpoint(
        f"{name}_story",
        f"/v1/tenants/{{tenant}}/{name}s/{{{name}}}",
        view,
        f"the story of a {name}: what it counts, its facts in order, and the bytes that were published",
        StoryAnswer,
        (NUMBER,),
        needed=Needed("recipients"),
    )


ROUTES = (_story("message", MessageStory), _story("call", CallStory), _story("customer", CustomerStory))
