"""A year of a tenant's campaigns in Postgres: cells, and what the sink keeps beside them, made by SQL.

What one campaign sends all year stands beside hundreds of others that send now and then. Activity and all
sums are made from the cells.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

from tally.schemas.cells import QUARTER_SECONDS
from tally.tables.postgres.database import Database
from tally.tables.postgres.kind import columns_of
from tally.tables.postgres.rollups import ADDINGS, ROLLUPS, Rollup
from tally.tables.postgres.writer import Writer
from tests.support.sink_doubles import order, progress

_TIMES = ("quarter", "hour")
TENANT, ALWAYS_ON = "tenant-0", "campaign-0"
BEGINS = datetime(2025, 1, 1, tzinfo=UTC)
MARKETS = [
    *("AR", "BR", "CL", "CO", "DE", "EC", "EG", "ES", "FR", "GB"),
    *("ID", "IN", "IT", "MX", "NG", "NL", "PE", "PT", "TR", "ZA"),
]


class Year(Struct, frozen=True):
    """The size of what is made; by default that of the targets."""

    days: int = 365
    templates: int = 50
    numbers: int = 5
    markets: int = 20
    cells_a_quarter: int = 2
    """Cells of templates of the campaign that sends all year, in each quarter hour and partition."""
    campaigns: int = 500
    """Of the tenant, that one included."""
    others_a_quarter: int = 3
    """How many of the others send within a quarter hour, in each partition."""
    partitions: int = 2


SENT = {
    **dict.fromkeys(("accepted", "attempts", "contacts", "sent", "delivered"), "n"),
    **dict.fromkeys(("failed_at_send", "failed_after_send", "delivered_implied", "delivered_late"), "n / 20"),
    **dict.fromkeys(("read_late", "duplicates", "claimed_elsewhere", "skipped"), "n / 20"),
    "read": "n / 2",
    "clicked": "n / 10",
}
"""What a cell of a template counts of `n` messages."""
REPLIED = ("contacts_accepted", "replied", "replied_last_touch", "replied_quoted")
"""What a campaign's own cell counts."""
MAPS = {
    "errors": {"meta:131026": "n / 30", "meta:131049": "n / 60"},
    "pricing": {"marketing/regular": "n"},
    "pricing_delivered": {"marketing/regular": "n"},
    "time_to_deliver": {"2": "n / 4", "3": "n / 2", "40": "n / 8", "310": "n / 9"},
    "time_to_read": {"25": "n / 4", "90": "n / 8", "4000": "n / 16"},
}
"""The entries of its maps."""


def _object(entries: Mapping[str, str]) -> str:
    """Return the SQL of a map of entries that are each SQL."""
    return f"jsonb_build_object({columns_of([f'{name!r}, {sql}' for name, sql in entries.items()])})"


def _sums(name: str) -> str:
    """Return the SQL that sums a map over cells."""
    summed = {entry: f"sum(({name} ->> {entry!r})::bigint)" for entry in MAPS[name]}
    return f"CASE grain WHEN 'template' THEN {_object(summed)} ELSE '{{}}' END"


CELLS = f"""
INSERT INTO tally.cells (
    generation, tenant, campaign, quarter, template_name, template_language, grain, number, market, partition,
    epoch, {columns_of(tuple(SENT))}, {columns_of(tuple(MAPS))}
)
SELECT
    1, $1, 'campaign-' || CASE WHEN nth <= $2::integer THEN 0 ELSE 1 + drawn % $3::integer END, quarter,
    'template-' || drawn / 7 % $4::integer, 'pt_BR', 'template', '1065403500' || drawn / 11 % $5::integer,
    ($6::text[])[1 + drawn / 13 % $7::integer], partition,
    1, {columns_of(tuple(SENT.values()))}, {columns_of([*map(_object, MAPS.values())])}
FROM generate_series(
        $8::timestamptz,
        $8::timestamptz + $9::integer * interval '24 hours' - interval '15 minutes',
        interval '15 minutes'
    ) AS quarter,
    generate_series(0, $10::integer - 1) AS partition, generate_series(1, $2::integer + $11::integer) AS nth,
    LATERAL (
        SELECT abs(hashint8(extract(epoch FROM quarter)::bigint * 64 + partition * 32 + nth)) AS drawn
    ) AS one,
    LATERAL (SELECT 2 + drawn % 38 AS n) AS two
ORDER BY quarter
ON CONFLICT DO NOTHING
"""  # noqa: S608 - names of ours
CUSTOMERS = f"""
INSERT INTO tally.cells (
    generation, tenant, campaign, quarter, template_name, template_language, grain, number, market, partition,
    epoch, {columns_of(REPLIED)}
)
SELECT 1, tenant, campaign, quarter, '', '', 'campaign', number, market, partition, 1,
    sum(accepted) - 1, {columns_of(["count(*)"] * len(REPLIED[1:]))}
FROM tally.cells GROUP BY tenant, campaign, quarter, number, market, partition ORDER BY quarter
"""  # noqa: S608
ACTIVE = """
INSERT INTO tally.activity (
    generation, tenant, campaign, quarter, number, queue, partition, epoch, accepted, sent, delivered, read,
    failed
)
SELECT 1, tenant, campaign, quarter, number, '', partition, 1,
    sum(accepted), sum(sent), sum(delivered), sum(read), sum(failed_at_send + failed_after_send)
FROM tally.cells WHERE grain = 'template' GROUP BY tenant, campaign, quarter, number, partition
ORDER BY quarter
"""
_SUMMED = [f"coalesce(sum({name}), 0)" for name in (*SENT, *REPLIED)]
ROWS = f"""
INSERT INTO tally.counters (
    generation, tenant, campaign, template_name, template_language, grain, partition, next_offset, first_ms,
    last_ms, channels, epoch, {columns_of((*SENT, *REPLIED, *MAPS))}
)
SELECT 1, tenant, campaign, template_name, template_language, grain, partition, 1,
    extract(epoch FROM min(quarter)) * 1000, extract(epoch FROM max(quarter)) * 1000, '{{whatsapp}}', 1,
    {columns_of([*_SUMMED, *map(_sums, MAPS)])}
FROM tally.cells GROUP BY tenant, campaign, template_name, template_language, grain, partition
"""  # noqa: S608


async def fill(database: Database, year: Year) -> int:
    """Write the tables of an empty, migrated database; return how many cells there are."""
    writer = Writer(database, 1, year.partitions)
    await writer.read_progress([])
    for partition in range(year.partitions):
        await writer.write(order(partition, [], progress(1), None))
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL work_mem = '64MB'")
        # Sums are made at once below, of all cells.
        for one in ADDINGS:
            await connection.execute(f"ALTER TABLE {one.table} DISABLE TRIGGER USER")
        await connection.execute(
            CELLS,
            *(TENANT, year.cells_a_quarter, year.campaigns - 1, year.templates, year.numbers, MARKETS),
            *(year.markets, BEGINS, year.days, year.partitions, year.others_a_quarter),
        )
        for sql in (CUSTOMERS, ACTIVE, ROWS, *map(summed, ROLLUPS)):
            await connection.execute(sql)
        for one in ADDINGS:
            await connection.execute(f"ALTER TABLE {one.table} ENABLE TRIGGER USER")
        found: int = await connection.fetchval("SELECT count(*) FROM tally.cells")
    async with database.transaction() as connection:
        await connection.execute("ANALYZE")
    return found


def summed(rollup: Rollup) -> str:
    """Return the SQL that makes a roll-up of all its cells at once."""
    by_number = f"(extract(epoch FROM quarter)::bigint / {QUARTER_SECONDS})"
    keys = [sql.replace("quarter", by_number) for sql in rollup.key.values()]
    places = columns_of([str(nth) for nth, _ in enumerate(keys, 3)])
    nothing = "nullif" if rollup.is_sparse else "coalesce"
    values = columns_of([f"{nothing}({sql}, 0)" for sql in rollup.values.values()])
    # In the order of time, as a year comes: a campaign's rows lie among those of all others.
    order = next((f"ORDER BY {keys[nth]}" for nth, name in enumerate(rollup.key) if name in _TIMES), "")
    return f"""
INSERT INTO {rollup.name} (
    generation, epoch, {columns_of(tuple(rollup.key))}, partition, {columns_of(tuple(rollup.values))}
)
SELECT 1, 1, {columns_of(keys)}, partition, {values}
FROM {rollup.of} WHERE campaign <> '' GROUP BY {places}, partition {order}
"""  # noqa: S608 - names of the registry
