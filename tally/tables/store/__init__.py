"""The partition store: one partition's tables, local in RocksDB, durable in changelogs."""
