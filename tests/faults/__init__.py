"""Injects faults of every kind while events flow, and compares with plain SQL: `make certificate`."""
