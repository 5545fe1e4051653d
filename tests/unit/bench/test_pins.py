"""Tally and its peers are measured on one base: shared dependencies have one version."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
WANTED = re.compile(r"^([a-z0-9-]+)", re.MULTILINE)


def test_what_tally_and_the_peers_share_has_the_same_versions_in_both_locks() -> None:
    wanted = WANTED.findall((ROOT / "bench/peers/requirements.in").read_text())
    ours, theirs = (
        dict(PINNED.findall((ROOT / name).read_text()))
        for name in ("requirements.lock", "requirements-bench.lock")
    )
    shared = [name for name in wanted if name in ours]

    assert set(shared) == {"faust-streaming", "mode-streaming", "aiokafka", "rocksdict", "orjson"}
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
