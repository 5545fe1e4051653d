"""All lines of subjects, as SQL: what they count in each row, and where their raw records lie. Pure."""

from collections.abc import Collection

from tally.tables.postgres.lines import SHOWN
from tally.tables.postgres.moment import Query

MOST = 1_000
"""Lines of subjects that are read; by these alone no story of more is explained whole."""
_COLUMNS = ", ".join(("tenant", "campaign", "grain", *SHOWN))
_OF_SUBJECTS = f"""
SELECT {_COLUMNS} FROM tally.lines
WHERE generation = $1 AND partition = ANY ($2::integer[]) AND subject = ANY ($3::bytea[])
ORDER BY subject, line LIMIT {MOST}
"""  # noqa: S608 - names of columns


def of_subjects(partitions: int, subjects: Collection[bytes]) -> Query:
    """Return the query of the lines of subjects, by their digests, in any partition, of any tenant."""
    return Query(_OF_SUBJECTS, (list(range(partitions)), sorted(subjects)))
