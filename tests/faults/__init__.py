"""Faults of every kind while events flow, judged by plain SQL: `make certificate`."""
