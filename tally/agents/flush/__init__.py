"""Writes changed rows to Postgres as absolute values, many in one statement."""
