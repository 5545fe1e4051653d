"""Copies what both changelogs hold into Postgres: rows, and its own offsets in the same transaction."""
