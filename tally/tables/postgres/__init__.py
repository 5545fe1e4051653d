"""A copy of the counters in Postgres, for SQL queries: connections, SQL, writer."""
