"""The same events under other names, so that one deployment can count them in several orders."""

from collections.abc import Sequence

from tally.simulator.records import RawRecord

TENANTS = (b"tenant-", b"pbx-", b"1065403522")
"""What names a tenant, its PBX and its business numbers: two copies share none of them."""


def renamed(records: Sequence[RawRecord], copy: int) -> list[RawRecord]:
    """Return records of other tenants, to whom exactly the same happened."""
    return [
        RawRecord(
            record.topic,
            record.key,
            None if record.value is None else _renamed(record.value, copy),
            tuple((name, value and _renamed(value, copy)) for name, value in record.headers),
        )
        for record in records
    ]


def _renamed(value: bytes, copy: int) -> bytes:
    for name in TENANTS:
        value = value.replace(name, name[:-1] + b"%d" % copy + name[-1:])
    return value


def tenants(copy: int) -> list[str]:
    """Return the tenants of a copy."""
    return [f"tenant{copy}-{nth}" for nth in range(2)]
