"""SQL functions that tell numbers by day in a zone, rendered from the registry. Pure.

Each returns a row for every day, with zeros where nothing is counted: what the series of the read API tells
with `interval=day` (`streams/web/series.py`).
"""

from msgspec import Struct

from tally.schemas.counters import ACTIVITY, BY_QUEUE
from tally.schemas.grains import CAMPAIGN, OPERATOR
from tally.tables.postgres.series import HOURS, Attribution, by_hour, columns_read, possible, summed, total

_SPAN = ("(SELECT span.begins[1] FROM span)", "(SELECT span.ends FROM span)")
SPAN = ("timezone text", "from_day date", "to_day date")


class DayFunction(Struct, frozen=True):
    """One function: what names the subject, and the table that has its numbers."""

    name: str
    of: str
    subject: tuple[str, ...]
    """Its first arguments, each named as the column that holds it is known to readers."""
    attribution: Attribution
    table: str
    columns: tuple[str, ...]
    """The column of each of the arguments."""
    counters: tuple[str, ...]
    only: str = ""
    """What else holds of its rows."""

    @property
    def arguments(self) -> str:
        """Return the types of its arguments, which tell it apart from others of its name."""
        return ", ".join(argument.split()[1] for argument in self._arguments)

    @property
    def _arguments(self) -> tuple[str, ...]:
        return (*(f"{name} text" for name in self.subject), *SPAN)

    @property
    def _held(self) -> str:
        """Return the SQL of the rows that are summed."""
        where = [f"{column} = ${n}" for n, column in enumerate(self.columns, 1)]
        where = [
            "generation = (SELECT generation FROM tally.current_generation)",
            *where,
            *([self.only] if self.only else []),
        ]
        if hours := HOURS.get(self.table):
            parts = columns_read(self.counters, self.attribution)
            return by_hour(self.table, hours, " AND ".join(where), _SPAN, "SELECT split.at FROM split", parts)
        where += [f"quarter >= {_SPAN[0]}", f"quarter < {_SPAN[1]}"]
        return f"tally.{self.table} AS held WHERE {' AND '.join(where)}"

    def _summed(self, name: str) -> str:
        if self.attribution == "event":
            return total(name)
        return summed(name, OPERATOR if "operator" in self.subject else None)

    @property
    def sql(self) -> str:
        """Return the SQL that makes it."""
        nth = len(self.subject)
        returned = ["day date", "begins timestamptz", "ends timestamptz"]
        returned += [f"{name} bigint" for name in self.counters]
        returned += ["catching_up boolean", "withheld bigint"]
        campaign = f"${self.subject.index('campaign') + 1}" if "campaign" in self.subject else "''"
        selected = [f"coalesce(counted.{name}, 0)" for name in self.counters]
        selected.append("(SELECT coalesce(bool_or(cuts.catching_up), true) FROM tally.cuts)")
        selected.append(f"(SELECT tally.withheld_of($1, {campaign}))")
        return f"""\
-- Numbers by day of {self.of}.
CREATE FUNCTION tally.{self.name}({", ".join(self._arguments)})
RETURNS TABLE (
    {_lines(returned, 4)}
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 366
AS $$
    WITH days AS MATERIALIZED (
        SELECT * FROM tally.days(${nth + 1}, ${nth + 2}, ${nth + 3})
    ), span AS MATERIALIZED (
        SELECT array_agg(days.begins ORDER BY days.begins) AS begins, max(days.ends) AS ends FROM days
    ), split AS MATERIALIZED (
        SELECT DISTINCT date_trunc('hour', edge, 'UTC') AS at
        FROM days, unnest(ARRAY[days.begins, days.ends]) AS edge
        WHERE edge <> date_trunc('hour', edge, 'UTC')
    ), counted AS (
        SELECT
            width_bucket(held.quarter, (SELECT span.begins FROM span)) AS nth,
            {_lines([f"{self._summed(name)} AS {name}" for name in self.counters], 12)}
        FROM {self._held}
        GROUP BY 1
    )
    SELECT
        known.day, known.begins, known.ends,
        {_lines(selected, 8)}
    FROM (SELECT *, row_number() OVER (ORDER BY days.begins) AS nth FROM days) AS known
    LEFT JOIN counted USING (nth)
    ORDER BY known.day
$$;
"""  # noqa: S608 - names of the registry


def _lines(parts: list[str], indent: int) -> str:
    return (",\n" + " " * indent).join(parts)


_SENT = possible(CAMPAIGN, "send")
_CAMPAIGN, _TENANT = ("tenant", "campaign"), ("tenant",)
DAY_FUNCTIONS = (
    DayFunction(
        "campaign_days",
        "a campaign's sends",
        _CAMPAIGN,
        "send",
        "cell_sums",
        _CAMPAIGN,
        _SENT,
    ),
    DayFunction(
        "campaign_activity_days",
        "what happened to a campaign's sends, whenever they were sent",
        _CAMPAIGN,
        "event",
        "activity_sums",
        _CAMPAIGN,
        ACTIVITY,
    ),
    DayFunction("tenant_days", "the sends of all campaigns", _TENANT, "send", "tenant_sums", _TENANT, _SENT),
    DayFunction(
        "tenant_activity_days",
        "what happened to the sends of all campaigns",
        _TENANT,
        "event",
        "tenant_activity_sums",
        _TENANT,
        ACTIVITY,
    ),
    DayFunction(
        "operator_days",
        "an operator's legs at one PBX",
        ("tenant", "pbx", "operator"),
        "send",
        "cells",
        ("tenant", "template_name", "template_language"),
        possible(OPERATOR, "send"),
        "grain = 'operator'",
    ),
    DayFunction(
        "queue_days",
        "a queue's connects and abandoned callers",
        ("tenant", "queue"),
        "event",
        "activity",
        ("tenant", "queue"),
        BY_QUEUE,
        "queue <> '' AND campaign <> ''",
    ),
)
"""The condition beside the subject is that of the index by which the rows are found."""
