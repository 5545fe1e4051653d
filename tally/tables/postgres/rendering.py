"""SQL rendered from the registries: the columns of `tally.counters`, its key, and the views. Pure.

`tally/deploy/views.sql` holds the result. `tally migrate up` executes it after the migrations.
"""

import textwrap
from collections.abc import Iterable

from tally.schemas.counter import Counter, Rate
from tally.schemas.counters import BY_NAME, COUNTERS, DERIVED_BY_NAME, RATES, counters_of, numbers_at
from tally.schemas.grains import CAMPAIGN, GRAINS, KEY_COLUMNS, TEMPLATE, Grain
from tally.schemas.rows import LABELS
from tally.tables.postgres.columns import CELLED, COUNTED, KEY, SUMMED, VALUES
from tally.tables.postgres.day_functions import DAY_FUNCTIONS
from tally.tables.postgres.rate_function import RATE_FUNCTION
from tally.tables.postgres.rollups import ADDINGS, OF_CELLS

WIDTH = 100
PRIMARY_KEY = ("generation", *KEY_COLUMNS, "partition")
_ALL_COLUMNS = (*PRIMARY_KEY, *VALUES, "epoch", "updated_at")
_ZERO = {"bigint": "0", "jsonb": "'{}'"}
_FUNCTION = {"map": "sum_entries", "seconds": "summarise_seconds"}

_BEFORE = """\
SET LOCAL lock_timeout = '3s';

-- A counter that this version does not know: what a newer one rendered is left to it.
DO $$
DECLARE
    unknown text;
BEGIN
    SELECT string_agg(attname, ', ' ORDER BY attname) INTO unknown FROM pg_attribute
    WHERE attrelid = 'tally.counters'::regclass AND attnum > 0 AND NOT attisdropped
        AND attname NOT IN (
{known}
        );
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'tally.counters has columns that this version of Tally does not know: %', unknown
            USING HINT = 'a newer version has migrated this database: use that one';
    END IF;
END $$;

-- What a new column should hold is in no row yet: both changelogs are read from their start.
UPDATE tally.sink_progress SET columns = ''
WHERE EXISTS (
    SELECT FROM unnest(ARRAY[
{wanted}
    ]) AS wanted (name)
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'tally.counters'::regclass AND attname = name AND NOT attisdropped
    )
);
"""

_KEY = """\
DO $$
BEGIN
    IF ARRAY[
{key}
    ] IS DISTINCT FROM (
        SELECT array_agg(attname::text ORDER BY place) FROM pg_constraint
        CROSS JOIN unnest(conkey) WITH ORDINALITY AS keyed (number, place)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number
        WHERE conrelid = 'tally.counters'::regclass AND contype = 'p'
    ) THEN
        ALTER TABLE tally.counters DROP CONSTRAINT counters_pkey, ADD PRIMARY KEY (
{listed}
        );
    END IF;
END $$;
"""


_CUTS = """\
-- Each row is of a partition: which moment of the fold it shows. One that is not read yet has no moment.
CREATE VIEW tally.cuts AS
SELECT
    generation,
    partition,
    coalesce(seq, 0) AS seq,
    to_timestamp(cut_at_ms / 1000.0) AS cut_at,
    NOT coalesce(is_cut AND is_pruned, is_empty) AS catching_up,
    (
        SELECT count(*) FROM tally.withheld
        WHERE withheld.generation = known.generation AND withheld.partition = known.partition
    ) AS withheld
FROM (SELECT * FROM tally.partitions FULL JOIN tally.sink_progress USING (generation, partition)) AS known
WHERE generation = (SELECT generation FROM tally.current_generation);
"""

_CATCHING_UP = "(SELECT coalesce(bool_or(catching_up), true) FROM tally.cuts) AS catching_up"

_WITHHELD = """\
    (
        SELECT count(*) FROM tally.withheld
        WHERE generation = (SELECT generation FROM tally.current_generation)
            AND tenant = convert_to(counters.tenant, 'UTF8')
            AND campaign = convert_to({campaign}, 'UTF8')
    ) AS withheld"""


_ENTRIES = "tally.entries_of(tally.sum_entries(jsonb_agg(description)), '{}')"
_SAID = (
    f"({_ENTRIES.format('name=')})[1] AS name",
    f"({_ENTRIES.format('status=')})[1] AS status",
    f"to_jsonb({_ENTRIES.format('tag=')}) AS tags",
    f"({_ENTRIES.format('planned=')})[1]::bigint AS planned",
    "jsonb_strip_nulls(jsonb_build_object(\n        'per_day', "
    f"({_ENTRIES.format('limit.per_day=')})[1]::bigint,\n        'per_second', "
    f"({_ENTRIES.format('limit.per_second=')})[1]::bigint\n    )) AS limits",
)
"""What is said of a campaign; its templates' rows have no entries."""

_CHANNEL = (
    "CASE\n        WHEN bool_or('voice' = ANY (channels)) AND NOT bool_or('whatsapp' = ANY (channels))"
    " THEN 'voice'\n        ELSE 'whatsapp'\n    END AS channel"
)
_IDS = "tally.smallest_of(jsonb_agg(to_jsonb(labels)), {most}) AS template_ids"
_ACTIVITY = (
    "to_timestamp(min(first_ms) / 1000.0) AS first_activity",
    "to_timestamp(max(last_ms) / 1000.0) AS last_activity",
    "max(updated_at) AS updated_at",
)


def rendered() -> str:
    """Return the whole script; executing it a second time changes nothing."""
    quoted = [f"'{name}'" for name in _ALL_COLUMNS]
    wanted = [f"'{name}'" for name in (*KEY, *COUNTED)]
    before = _BEFORE.format(known=_wrapped(quoted, 12), wanted=_wrapped(wanted, 8))
    key = _KEY.format(
        key=_wrapped([f"'{name}'" for name in PRIMARY_KEY], 8), listed=_wrapped(PRIMARY_KEY, 12)
    )
    parts = [before, _columns(), key, *(f"{_folded(one.sql)}\n" for one in ADDINGS), _drops(), _CUTS]
    parts += [_view(grain) for grain in GRAINS]
    parts += [*(one.sql for one in DAY_FUNCTIONS), RATE_FUNCTION]
    return "\n".join(parts).rstrip("\n")


def _columns() -> str:
    added = [f"ADD COLUMN IF NOT EXISTS {name} text COLLATE \"C\" NOT NULL DEFAULT ''" for name in KEY]
    added += [
        f"ADD COLUMN IF NOT EXISTS {name} {kind} NOT NULL DEFAULT {_ZERO[kind]}"
        for name, kind in COUNTED.items()
    ]
    of_cells = [f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in CELLED.items()]
    of_sums = [f"ADD COLUMN IF NOT EXISTS {name} bigint" for name in SUMMED]
    of_all_sums = [(one.name, of_sums) for one in OF_CELLS]
    return "\n".join(
        f"ALTER TABLE {table}\n    " + ",\n    ".join(columns) + ";\n"
        for table, columns in (("tally.counters", added), ("tally.cells", of_cells), *of_all_sums)
    )


def _drops() -> str:
    """Return the SQL that drops what is made anew: replacing can only append columns, ours keep API order."""
    views = [*(grain.view for grain in reversed(GRAINS)), "cuts"]
    functions = [f"FUNCTION IF EXISTS tally.{one.name}({one.arguments})" for one in DAY_FUNCTIONS]
    dropped = [*functions, *(f"VIEW IF EXISTS tally.{view}" for view in views)]
    return "\n".join(f"DROP {one};" for one in dropped) + "\n"


def _view(grain: Grain) -> str:
    names = [column if name == column else f"{column} AS {name}" for name, column in grain.names]
    columns = [column for _, column in grain.names]
    withheld = _WITHHELD.format(campaign="counters.campaign" if "campaign" in columns else "''")
    numbers = numbers_at(grain)
    selected = [*names, *_described(grain), *(f"{_number(name, grain)} AS {name}" for name in numbers)]
    selected += [_rate(rate, grain) for rate in RATES if {rate.numerator, rate.denominator} <= set(numbers)]
    selected += [*_ACTIVITY, _CATCHING_UP, withheld.lstrip()]
    grains = [f"'{one.name}'" for one in (grain, grain.sums) if one is not None]
    of_grain = f"grain = {grains[0]}" if len(grains) == 1 else f"grain IN ({', '.join(grains)})"
    lines = [
        f"-- Each row is of {grain.of}.",
        "-- Those that came to zeros do not show.",
        f"CREATE VIEW tally.{grain.view} AS",
        "SELECT\n    " + ",\n    ".join(selected),
        "FROM tally.counters",
        "WHERE generation = (SELECT generation FROM tally.current_generation)",
        f"    AND {of_grain}",
        f"GROUP BY {', '.join(columns)}",
        f"HAVING bool_or(\n{_is_counted(grain)}\n);\n",
    ]
    return "\n".join(lines)


def _described(grain: Grain) -> list[str]:
    """Return what a view says of a campaign or template beside its numbers."""
    if grain is TEMPLATE:
        return [_CHANNEL, _IDS.format(most=LABELS)]
    return [_CHANNEL, *_SAID, _IDS.format(most="NULL")] if grain is CAMPAIGN else []


def _rate(rate: Rate, grain: Grain) -> str:
    """Return a rate, which is null where there is nothing that it is of; answers round it to four digits."""
    of = f"nullif({_number(rate.denominator, grain)}, 0)"
    return f"{_number(rate.numerator, grain)}::double precision\n        / {of} AS {rate.name}_rate"


def _number(name: str, grain: Grain) -> str:
    """Return a number as the sum over partitions, and over the finer rows that hold it."""
    (source,) = {counter.summed_from(grain) for counter in counters_of(name)}
    assert source is not None  # noqa: S101 - it is one of the numbers at this grain
    only = f" FILTER (WHERE grain = '{source.name}')" if grain.sums else ""
    if (counter := BY_NAME.get(name)) and counter.kind != "count":
        return f"tally.{_FUNCTION[counter.kind]}(jsonb_agg({name}){only})"
    summed = f"sum({_expression(name)}){only}"
    return f"coalesce({summed}, 0)::bigint" if only else f"{summed}::bigint"


def _expression(name: str) -> str:
    if name in BY_NAME:
        return name
    derived = DERIVED_BY_NAME[name]
    return " + ".join(derived.plus) + "".join(f" - {part}" for part in derived.minus)


def _is_counted(grain: Grain) -> str:
    held = [counter for counter in COUNTERS if counter.summed_from(grain)]
    plain = _wrapped((c.name for c in held if _is_plain(c)), 8)
    entries = " OR ".join(f"{c.name} <> '{{}}'" for c in held if not _is_plain(c))
    indent = " " * 4
    return f"{indent}greatest(\n{plain}\n{indent}) > 0\n" + textwrap.fill(
        "OR " + entries, WIDTH, initial_indent=indent, subsequent_indent=indent
    )


def _is_plain(counter: Counter) -> bool:
    return counter.kind == "count"


def _folded(sql: str) -> str:
    """Return SQL, none of whose strings has a space, with its long lines wrapped."""
    return "\n".join(
        textwrap.fill(line, WIDTH, subsequent_indent=" " * 8, break_long_words=False, break_on_hyphens=False)
        if len(line) > WIDTH
        else line
        for line in sql.splitlines()
    )


def _wrapped(names: Iterable[str], indent: int) -> str:
    return textwrap.fill(
        ", ".join(names),
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
