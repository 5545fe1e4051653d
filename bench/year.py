"""A year of a tenant's campaigns in Postgres: cells, and what the sink keeps beside them, made by SQL.

What one campaign sends all year stands beside hundreds of others that send now and then. Activity and all
sums are made from the cells.
"""

from datetime import UTC, datetime

from msgspec import Struct

from tally.schemas.cells import QUARTER_SECONDS
from tally.tables.postgres.database import Database
from tally.tables.postgres.kind import columns_of
from tally.tables.postgres.rollups import ROLLUPS, Rollup
from tally.tables.postgres.writer import Writer
from tests.support.sink_doubles import order, progress

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


CELLS = """
INSERT INTO tally.cells (
    generation, tenant, campaign, quarter, template_name, template_language, grain, number, market, partition,
    epoch, accepted, attempts, contacts, sent, delivered, read, failed_after_send, errors, pricing,
    time_to_deliver, time_to_read
)
SELECT
    1, $1, 'campaign-' || CASE WHEN nth <= $2::integer THEN 0 ELSE 1 + drawn % $3::integer END, quarter,
    'template-' || drawn / 7 % $4::integer, 'pt_BR', 'template', '1065403500' || drawn / 11 % $5::integer,
    ($6::text[])[1 + drawn / 13 % $7::integer], partition,
    1, n, n, n, n, n - n / 20, n / 2, n / 20,
    jsonb_build_object('meta:131026', n / 20), jsonb_build_object('marketing/regular', n),
    jsonb_build_object('3', n), jsonb_build_object('40', n / 2)
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
ON CONFLICT DO NOTHING
"""
CUSTOMERS = """
INSERT INTO tally.cells (
    generation, tenant, campaign, quarter, template_name, template_language, grain, number, market, partition,
    epoch, contacts_accepted, replied
)
SELECT 1, tenant, campaign, quarter, '', '', 'campaign', number, market, partition, 1,
    sum(accepted) - 1, count(*)
FROM tally.cells GROUP BY tenant, campaign, quarter, number, market, partition
"""
ACTIVE = """
INSERT INTO tally.activity (
    generation, tenant, campaign, quarter, number, queue, partition, epoch, accepted, sent, delivered, read,
    failed
)
SELECT 1, tenant, campaign, quarter, number, '', partition, 1,
    sum(accepted), sum(sent), sum(delivered), sum(read), sum(failed_after_send)
FROM tally.cells WHERE grain = 'template' GROUP BY tenant, campaign, quarter, number, partition
"""
_MAPS = {
    "errors": "meta:131026",
    "pricing": "marketing/regular",
    "time_to_deliver": "3",
    "time_to_read": "40",
}
_SUMMED_MAPS = [
    f"CASE grain WHEN 'template' THEN jsonb_build_object('{entry}', sum(({name} ->> '{entry}')::bigint))"
    " ELSE '{}' END"
    for name, entry in _MAPS.items()
]
ROWS = f"""
INSERT INTO tally.counters (
    generation, tenant, campaign, template_name, template_language, grain, partition, next_offset, first_ms,
    last_ms, channels, epoch, accepted, attempts, contacts, sent, delivered, read, failed_after_send,
    contacts_accepted, replied, errors, pricing, time_to_deliver, time_to_read
)
SELECT 1, tenant, campaign, template_name, template_language, grain, partition, 1,
    extract(epoch FROM min(quarter)) * 1000, extract(epoch FROM max(quarter)) * 1000, '{{whatsapp}}', 1,
    coalesce(sum(accepted), 0), coalesce(sum(attempts), 0), coalesce(sum(contacts), 0),
    coalesce(sum(sent), 0), coalesce(sum(delivered), 0), coalesce(sum(read), 0),
    coalesce(sum(failed_after_send), 0), coalesce(sum(contacts_accepted), 0), coalesce(sum(replied), 0),
    {columns_of(_SUMMED_MAPS)}
FROM tally.cells GROUP BY tenant, campaign, template_name, template_language, grain, partition
"""  # noqa: S608 - names of ours


async def fill(database: Database, year: Year) -> int:
    """Write the tables of an empty, migrated database; return how many cells there are."""
    writer = Writer(database, 1, year.partitions)
    await writer.read_progress([])
    for partition in range(year.partitions):
        await writer.write(order(partition, [], progress(1), None))
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL work_mem = '64MB'")
        await connection.execute(
            CELLS,
            *(TENANT, year.cells_a_quarter, year.campaigns - 1, year.templates, year.numbers, MARKETS),
            *(year.markets, BEGINS, year.days, year.partitions, year.others_a_quarter),
        )
        for sql in (CUSTOMERS, ACTIVE, ROWS, *map(summed, ROLLUPS)):
            await connection.execute(sql)
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
    return f"""
INSERT INTO {rollup.name} (
    generation, epoch, {columns_of(tuple(rollup.key))}, partition, {columns_of(tuple(rollup.values))}
)
SELECT 1, 1, {columns_of(keys)}, partition, {values}
FROM {rollup.of} WHERE campaign <> '' GROUP BY {places}, partition
"""  # noqa: S608 - names of the registry
