"""Audit: whether rows are what their states, Postgres and the raw events say."""
