"""The audit of a deployment from outside: it only reads from Kafka, Postgres and the read API."""
