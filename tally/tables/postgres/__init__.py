"""Postgres as a copy of the counters that anybody can query: connections, SQL, writer."""
