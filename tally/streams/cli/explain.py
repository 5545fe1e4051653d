"""`tally explain`: the lines behind a number of a campaign, and what each of them adds."""

import asyncio
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import aiohttp
import typer
from msgspec import Struct, to_builtins

from tally.oracle.api import PAGE, Answers
from tally.streams.cli.output import Json, console, fail, print_json, print_table
from tally.streams.settings import load

COLUMNS = ("contact", "attempt", "adds", "phone", "template", "number", "market", "error", "events")


class Behind(Struct):
    """A number, and lines behind it: all of them, or the first of them."""

    number: int
    is_masked: bool
    """Whether the key sees no people."""
    lines: list[dict[str, Any]]
    is_whole: bool
    """Whether these are all."""
    receipt: dict[str, Any]
    """Of the first page; later ones are of later moments."""


class Failed(Exception):
    """The worker refuses the question; the message is its own."""


def explain(
    campaign: Annotated[str, typer.Argument(help="the campaign's id")],
    counter: Annotated[str, typer.Argument(help="a number of it, or an entry: read, errors.meta:131026")],
    tenant: Annotated[str, typer.Option(help="whose it is")],
    template: Annotated[str, typer.Option(help="lines of this template alone")] = "",
    language: Annotated[str, typer.Option(help="and of this language of it")] = "",
    number: Annotated[str, typer.Option(help="lines of this business number or PBX alone")] = "",
    market: Annotated[str, typer.Option(help="lines of this market alone")] = "",
    most: Annotated[int, typer.Option(min=1, max=1_000_000, help="print so many lines at most")] = 50,
    url: Annotated[str, typer.Option(help="a worker; without, the one of the settings")] = "",
    json: Json = False,
) -> None:
    """Print who is behind a number of a campaign: each line, what it adds, and which events it came from.

    Needs a ledger. A key with the scope recipients sees people, one with read masked phones alone. An export
    has all lines of one moment.
    """
    settings = load()
    at = (url or f"http://{settings.web_host}:{settings.web_port}").rstrip("/")
    given = {"counter": counter, "template": template, "language": language, "number": number}
    query = {name: value for name, value in {**given, "market": market}.items() if value}
    try:
        found = asyncio.run(_ask(at, settings.api_key.get_secret_value(), tenant, campaign, query, most))
    except Failed as error:
        fail(f"{at} answers: {error}")
    except (aiohttp.ClientError, TimeoutError) as error:
        fail(f"{at} does not answer: {type(error).__name__}")
    if json:
        print_json({"tenant": tenant, "campaign": campaign, **query, **to_builtins(found)})
    else:
        print_table(COLUMNS, [row(one) for one in found.lines])
        console.print(said(counter, found), highlight=False)


async def _ask(url: str, key: str, tenant: str, campaign: str, query: dict[str, str], most: int) -> Behind:
    async with Answers(url, url, key) as answers:
        return await behind(answers, tenant, campaign, query, most)


async def behind(answers: Answers, tenant: str, campaign: str, query: dict[str, str], most: int) -> Behind:
    """Return a number and at most so many lines of it. Raises Failed, aiohttp.ClientError, TimeoutError."""
    path = f"/v1/tenants/{quote(tenant, safe='')}/campaigns/{quote(campaign, safe='')}/lines"
    found: Behind | None = None
    asked = dict(query)
    while True:
        left = most - (0 if found is None else len(found.lines))
        status, page = await answers.ask(f"{path}?{urlencode({**asked, 'limit': min(left, PAGE)})}")
        if status != 200:
            raise Failed(page["error"]["message"])
        if found is None:
            found = Behind(page["number"], page["is_masked"], [], False, page["receipt"])
        found.lines += page["lines"]
        cursor = page["next_cursor"]
        found.is_whole = cursor is None
        if cursor is None or len(found.lines) >= most:
            return found
        asked["cursor"] = cursor


def row(line: dict[str, Any]) -> tuple[str, ...]:
    """Return a line as a row of the table. Pure."""
    template = f"{line['template']['name']} {line['template']['language']}".rstrip()
    of = (template, line["number"], line["market"], line["error"])
    events = "\n".join(_event(one) for one in line["events"])
    return line["contact"], line["attempt"], str(line["adds"]), line["phone"], *of, events


def _event(one: dict[str, Any]) -> str:
    place = "" if one["topic"] is None else f" {one['topic']}/{one['partition']}@{one['offset']}"
    return f"{one['kind']} {one['at']}{place}"


def said(counter: str, found: Behind) -> str:
    """Return the line below the table. Pure."""
    receipt, lines = found.receipt, len(found.lines)
    adds = sum(one["adds"] for one in found.lines)
    shown = f"{counter} {found.number:,} in {lines:,} lines"
    if not found.is_whole:
        shown = f"{counter} {found.number:,}; the first {lines:,} lines add {adds:,}: --most shows more"
    elif adds != found.number:
        shown += f", which add {adds:,}: it moved between two pages, or tally audit says why"
    masked = "; TALLY_API_KEY lacks recipients, so nobody is named" if found.is_masked else ""
    return f"{shown}; as of {receipt['as_of'] or 'no moment yet'}, {receipt['state']}{masked}"
