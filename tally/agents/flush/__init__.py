"""Sends rows that changed to Postgres, as absolute values, many in one statement."""
