"""Exports are the lists behind numbers, whole or cut where everybody sees it; and a third at once waits."""

import asyncio
import csv
import io
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import asyncpg
import orjson
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from bench.load import Size, load
from tally.deploy import migrate
from tally.oracle.api import Answers
from tally.schemas.facts import RECIPIENT, AttemptResult, StatusSeen
from tally.schemas.keys import FREE_FORM, join_parts
from tally.schemas.records import Keyed, KeyedFact
from tally.schemas.sources import READERS
from tally.streams.cli import explain
from tally.streams.cli.explain import Failed, behind
from tally.streams.keys.key import Key, Presented, digest_of
from tally.tables.postgres import line_exports
from tally.tables.postgres import lines as stored_lines
from tally.tables.postgres.line_records import LINE_COLUMNS
from tests.integration.test_postgres_cells import level
from tests.integration.test_postgres_lines import fold, with_lines
from tests.support.keys import PRESENTED, SHOWN
from tests.support.partition import MemoryPartition
from tests.support.web_api import Api, campaign_target, serving

pytestmark = pytest.mark.asyncio

TENANT, CAMPAIGN, ODD = "tenant-0", "campaign-0", "=odd"
READER = Presented("fedcba987654", "r" * 43)
FORMULAS = ["=1+1", "+1-1", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "+12345", "+5511999990000\n"]
TEXTS = [
    "+5511999990000",
    "a,b",
    'a"b',
    "a\nb",
    "a\\nb",
    "\\.",
    "\x01\x02",
    "ü\u2028",
    "$1",
    "'",
    "\\",
    " =1",
]
ASKED = [
    (ODD, {"counter": "failed"}),
    (ODD, {"counter": "duplicates"}),
    (CAMPAIGN, {"counter": "in_flight"}),
    (CAMPAIGN, {"counter": "pricing.service/unknown"}),
    (CAMPAIGN, {"counter": "replied", "market": "BR"}),
    (CAMPAIGN, {"counter": "accepted", "template": "promo_nov", "language": "pt_BR"}),
]
MANY = 40_000
"""Lines of some 16 MB: more than the buffers of a connection take."""
GROW = """
INSERT INTO tally.lines (generation, partition, subject, line, epoch, {rest})
SELECT generation, partition, int8send(each) || int8send(each), line, epoch, {rest}
FROM (SELECT * FROM tally.lines WHERE 'read' = ANY (counters) AND campaign = 'campaign-0' LIMIT 1) AS one
CROSS JOIN generate_series(1, $1::bigint) AS each
"""
REST = ", ".join(name for name in LINE_COLUMNS if name not in ("subject", "line"))
COPYING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY (%'"


@asynccontextmanager
async def world(dsn: str, export_seconds: float = 30.0) -> AsyncIterator[Api]:
    """Serve campaigns of both channels with their lines, and one of odd contacts."""
    migrate.up(dsn)
    result = AttemptResult("whatsapp", "1", "failed", 1_795_350_870_000, FREE_FORM)
    odd: list[Keyed] = [
        KeyedFact(RECIPIENT, join_parts(TENANT, ODD, one), result) for one in FORMULAS + TEXTS
    ]
    odd += [
        KeyedFact(
            RECIPIENT,
            join_parts(TENANT, ODD, "twice"),
            structs.replace(result, outcome="accepted", message=message * 16),
        )
        for message in (b"1", b"2", b"3")
    ]
    facts = [
        keyed for one in load(Size(400, tenants=1), seed=3) for keyed in READERS[one.topic](one.value).facts
    ]
    async with (
        with_lines(dsn) as ours,
        serving(debug=False, dsn=dsn, generation=1, partitions=1, export_seconds=export_seconds) as api,
    ):
        fold(ours, MemoryPartition(), [one for one in facts if not is_late(one)] + odd)
        await level(ours)
        api.catch_up()
        yield api


def is_late(one: Keyed) -> bool:
    """Whether this is news of a message of which none is to come: it stays in flight."""
    return isinstance(one, KeyedFact) and isinstance(one.fact, StatusSeen) and one.key[-1] % 8 == 0


def target(form: str, campaign: str = CAMPAIGN, **query: str) -> str:
    return f"{campaign_target(TENANT, campaign)}/lines{form}?{urlencode(query)}"


async def listed(api: Api, campaign: str, query: dict[str, str]) -> dict[str, Any]:
    response, body = await api.ask(target("", campaign, **query, limit="1000"))
    assert response.status == 200, body
    answer: dict[str, Any] = orjson.loads(body)
    assert answer["next_cursor"] is None
    return answer


def of_csv(body: bytes) -> list[dict[str, Any]]:
    """Return the lines of a file as the list has them: one tab goes from a cell that begins with one."""
    found = []
    for row in csv.DictReader(io.StringIO(body.decode(), newline="")):
        safe = {name: cell.removeprefix("\t") for name, cell in row.items()}
        named = {"name": safe.pop("template_name"), "language": safe.pop("template_language")}
        shown = {"adds": int(safe.pop("adds")), "events": orjson.loads(safe.pop("events"))}
        found.append({**safe, **shown, "template": named})
    return found


def of_ndjson(body: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in body.split(b"\n")[:-1]]


READ: dict[str, Callable[[bytes], list[dict[str, Any]]]] = {".csv": of_csv, ".ndjson": of_ndjson}


def by_content(lines: list[dict[str, Any]]) -> list[str]:
    return sorted(orjson.dumps(line, option=orjson.OPT_SORT_KEYS).decode() for line in lines)


async def test_a_file_has_the_lines_of_the_list_of_its_number(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(database) as api:
        for few in (0, stored_lines.FEW):
            monkeypatch.setattr(line_exports, "FEW", few)
            for campaign, query in ASKED:
                answer = await listed(api, campaign, query)
                assert answer["lines"], query
                for form, read in READ.items():
                    with capture_logs() as logs:
                        response, body = await api.ask(target(form, campaign, **query))
                    assert response.headers["Tally-Number"] == str(answer["number"])
                    assert response.headers["Tally-State"] == answer["receipt"]["state"]
                    assert by_content(read(body)) == by_content(answer["lines"]), (form, query)
                    used = {"key_id": PRESENTED.key_id, "lines": len(answer["lines"]), "form": form[1:]}
                    assert [one for one in logs if one["event"] == "lines exported"] == [
                        {"event": "lines exported", "log_level": "info", **used}
                    ]
        await check_cells(api)
        await check_trailers(api)
        await check_explained(api)
        await check_refusals(api)


async def check_cells(api: Api) -> None:
    """No cell of a spreadsheet begins a formula, and phones are as they were."""
    _, body = await api.ask(target(".csv", ODD, counter="failed"))
    cells = [row["contact"] for row in csv.DictReader(io.StringIO(body.decode(), newline=""))]
    assert sorted(cells) == sorted([*(f"\t{one}" for one in FORMULAS), *TEXTS])


def trailed(body: bytes) -> tuple[bytes, bytes]:
    """Return a file without its last line, and that line."""
    behind = body.rindex(b"\n", 0, -1) + 1
    return body[:behind], body[behind:]


async def check_trailers(api: Api) -> None:
    """The last line says how many there are, and the digest of all before it; a HEAD has the head alone."""
    number = (await listed(api, CAMPAIGN, {"counter": "failed"}))["number"]
    _, body = await api.ask(target(".csv", counter="failed", trailer="1"))
    whole, last = trailed(body)
    assert last.decode() == f"# lines={number} sha256={sha256(whole).hexdigest()}\n"
    _, body = await api.ask(target(".ndjson", counter="failed", trailer="1"))
    whole, last = trailed(body)
    assert orjson.loads(last) == {"lines": number, "sha256": sha256(whole).hexdigest()}
    response, body = await api.ask(target(".csv", counter="failed", trailer="1"), method="HEAD")
    assert (response.status, response.headers["Tally-Number"], body) == (200, str(number), b"")


async def check_explained(api: Api) -> None:
    """`tally explain` prints the same lines, over as many pages as it takes."""
    counter, url = {"counter": "accepted"}, f"http://127.0.0.1:{api.port}"
    answer = await listed(api, CAMPAIGN, counter)
    async with Answers(url, url, PRESENTED.text) as answers:
        found = await behind(answers, TENANT, CAMPAIGN, counter, 1_000)
        assert (found.lines, found.number, found.is_whole) == (answer["lines"], answer["number"], True)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(explain, "PAGE", 7)
            assert (await behind(answers, TENANT, CAMPAIGN, counter, 1_000)).lines == answer["lines"]
            first = await behind(answers, TENANT, CAMPAIGN, counter, 10)
        assert (first.lines, first.is_whole) == (answer["lines"][:10], False)
        with pytest.raises(Failed, match="nonsuch is no number"):
            await behind(answers, TENANT, CAMPAIGN, {"counter": "nonsuch"}, 10)


async def check_refusals(api: Api) -> None:
    """What is no number, what nobody is behind, and a key that sees no people."""
    for query, status in (
        ({}, 400),
        ({"counter": "nonsuch"}, 422),
        ({"counter": "failed", "limit": "1"}, 400),
        ({"counter": "failed", "trailer": "0"}, 400),
    ):
        response, _ = await api.ask(target(".csv", **query))
        assert response.status == status, query
    api.keyring.put(READER.key_id, Key(digest_of(READER.secret), ("read",), (TENANT,), 1_790_000_000_000))
    headers = {"Authorization": f"Bearer {READER.text}"}
    response, _ = await api.ask(target(".csv", counter="failed"), headers=headers)
    assert response.status == 403


Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def slow_reader(api: Api) -> Peer:
    """Ask for a large file, and read its head alone."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
    peer.setblocking(False)
    await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", api.port))
    reader, writer = await asyncio.open_connection(sock=peer, limit=4_096)
    asked = {"Host": f"127.0.0.1:{api.port}", **SHOWN}
    head = "".join(f"{name}: {value}\r\n" for name, value in asked.items())
    writer.write(f"GET {target('.csv', counter='read')} HTTP/1.1\r\n{head}\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    return reader, writer


async def is_reset(peer: Peer) -> bool:
    """Whether the connection ends with a reset, and not as a file does."""
    try:
        async with asyncio.timeout(20):
            await peer[0].read()
    except ConnectionResetError:
        return True
    finally:
        peer[1].close()
    return False


async def test_what_fails_in_the_middle_is_reset_a_slow_reader_at_the_deadline_and_a_third_at_once_waits(
    database: str,
) -> None:
    async with world(database, export_seconds=4.0) as api:
        connection = await asyncpg.connect(database)
        try:
            await connection.execute(GROW.format(rest=REST), MANY)
            await connection.execute("UPDATE tally.counters SET read = 100000 WHERE campaign = $1", CAMPAIGN)
            killed = await slow_reader(api)
            pid = await copying(connection, is_there=True)
            slow = await slow_reader(api)
            response, body = await api.ask(target(".ndjson", counter="read"))
            assert response.status == 429, body
            assert int(response.headers["Retry-After"]) > 0
            assert (await listed(api, ODD, {"counter": "failed"}))["lines"], "others are answered"
            with capture_logs() as logs:
                await connection.execute("SELECT pg_terminate_backend($1)", pid)
                assert await is_reset(killed)
                # It holds its snapshot until the deadline, and no longer.
                await copying(connection, is_there=False)
                assert await is_reset(slow)
            reasons = [one["reason"] for one in logs if one["event"] == "an export was cut off"]
            assert reasons[0].partition(":")[0] in {"57P01", "connection"}
            assert reasons[1:] == ["timeout: deadline passed"]
            response, body = await api.ask(target(".csv", counter="read", trailer="1"))
            assert trailed(body)[1].startswith(b"# lines=")
        finally:
            await connection.close()


async def copying(connection: Any, *, is_there: bool) -> int | None:
    """Wait until an export holds a snapshot, or none does; return the backend of one."""
    async with asyncio.timeout(10):
        while True:
            pid: int | None = await connection.fetchval(COPYING)
            if (pid is not None) is is_there:
                return pid
            await asyncio.sleep(0.02)
