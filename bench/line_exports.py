"""`python -m bench.line_exports`: what an export of a million lines takes: time, bytes, memory of the server.

The lines of the benchmarks' load are copied until one campaign has as many accepted messages as are asked
for. A read API in this process serves them; a client in a process of its own reads them, at full speed and
then at 10 KB/s for a while. Memory is the most that this process had more than before (VmHWM less VmRSS).
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import orjson

from bench.line_writes import COLUMNS, batches
from bench.table import table
from tally.deploy import migrate
from tally.deploy.local import LocalPostgres
from tally.schemas.grains import RowKey
from tally.tables.postgres.line_records import item
from tests.support.keys import SHOWN
from tests.support.web_api import Api, campaign_target, serving

TENANT, CAMPAIGN, COUNTER = "t1", "all", "accepted"
MESSAGES = 5_000
SLOW_SECONDS, SLOW_BYTES = 20.0, 10_240
FILLED = """
INSERT INTO tally.lines
SELECT generation, partition, int8send(each) || subject, line, epoch, family, $1, $2, template_name,
    template_language, grain, number, market, of, counters, counts, found_by || $3::bigint, at_ms, contact,
    attempt, message, phone, leg, error, price, kinds, kinds_at_ms, places
FROM (SELECT * FROM tally.lines WHERE 'accepted' = ANY (counters)) AS known,
    generate_series(1, $4::bigint) AS each
LIMIT $5
"""
NUMBER = """
INSERT INTO tally.counters (generation, partition, tenant, campaign, grain, template_name, template_language,
    next_offset, first_ms, last_ms, accepted)
VALUES (1, 0, $1, $2, 'template', 'promo', 'en', 1, 1, 1, $3)
"""
CLIENT = """
import http.client, json, sys, time
port, target, headers, bytes_a_second, seconds = json.loads(sys.argv[1])
connection = http.client.HTTPConnection("127.0.0.1", port)
began = time.monotonic()
connection.request("GET", target, headers=headers)
answer = connection.getresponse()
first, size, last = None, 0, b""
while some := answer.read1(bytes_a_second or 1 << 20):
    first = first or time.monotonic() - began
    size, last = size + len(some), (last + some)[-200:]
    if bytes_a_second:
        time.sleep(1)
        if time.monotonic() - began > seconds:
            break
print(json.dumps([answer.status, first, time.monotonic() - began, size, last.decode(errors="replace")]))
"""


async def fill(dsn: str, lines: int) -> None:
    """Put as many lines of one campaign into the ledger, and its number."""
    some, _ = batches(MESSAGES)
    # A state that was written twice has its last lines.
    last = {(one[0], one[1]): one for batch in some for one in batch.records}
    connection = await asyncpg.connect(dsn)
    try:
        records = [(1, 0, 1, *one) for one in last.values()]
        await connection.copy_records_to_table("lines", schema_name="tally", columns=COLUMNS, records=records)
        found_by = item(RowKey(TENANT, CAMPAIGN, None), "template", COUNTER)
        await connection.execute(FILLED, TENANT, CAMPAIGN, found_by, lines // 1_000, lines)
        await connection.execute(NUMBER, TENANT, CAMPAIGN, lines)
        await connection.execute("VACUUM ANALYZE tally.lines")
    finally:
        await connection.close()


def memory_kib(name: str) -> int:
    """Return a figure of this process's memory."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:"))


def memory_at_its_least() -> int:
    """Return how much memory this process has; from here on VmHWM is the most that it had."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory_kib("VmRSS")


async def measured(api: Api, target: str, bytes_a_second: int = 0) -> list[str]:
    """Read one export; return what it took."""
    before = memory_at_its_least()
    asked = orjson.dumps([api.port, target, SHOWN, bytes_a_second, SLOW_SECONDS]).decode()
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, asked, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await client.communicate()
    status, first_s, whole_s, size, last = orjson.loads(said)
    if status != 200 or (not bytes_a_second and "lines" not in last):
        raise RuntimeError(f"an export was answered with {status} and ends with {last[-80:]!r}")
    more = (memory_kib("VmHWM") - before) / 1024
    return [f"{first_s:.2f}", f"{whole_s:.1f}", f"{size / 1e6:.0f}", f"{more:.1f}"]


HEADER = ["export", "first byte s", "whole s", "MB", "more memory MiB"]


def filled(dsn: str, lines: int) -> None:
    """Fill in a process of its own: memory that it frees would hide what an export takes."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        other.submit(_fill, dsn, lines).result()


def _fill(dsn: str, lines: int) -> None:
    asyncio.run(fill(dsn, lines))


async def _measure(dsn: str, lines: int) -> None:
    rows = []
    async with serving(debug=False, dsn=dsn, generation=1, partitions=1, export_seconds=300.0) as api:
        api.catch_up()
        path = f"{campaign_target(TENANT, CAMPAIGN)}/lines"
        for form in ("csv", "ndjson"):
            target = f"{path}.{form}?counter={COUNTER}&trailer=1"
            rows.append([form, *await measured(api, target)])
        target = f"{path}.csv?counter={COUNTER}"
        rows.append([f"csv, {SLOW_BYTES} bytes/s, left", *await measured(api, target, SLOW_BYTES)])
    sys.stdout.write(f"{lines} lines\n{table(HEADER, rows)}\n")


def main(arguments: Sequence[str]) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.line_exports", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    given = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="tally-bench-") as name:
        postgres = LocalPostgres.start(Path(name), port=0)
        try:
            migrate.up(postgres.dsn)
            filled(postgres.dsn, given.lines)
            asyncio.run(_measure(postgres.dsn, given.lines))
        finally:
            postgres.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
