"""The audit of a deployment from outside: it reads what Kafka and Postgres hold, and writes nothing."""
