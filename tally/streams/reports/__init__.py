"""Reports of audits and gateways: once a minute into a compacted topic, from which views show them."""
