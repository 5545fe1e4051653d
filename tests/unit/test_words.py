"""One word a concept: retired words occur nowhere in code, settings, metrics, SQL, docs or help texts."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = (
    "tally",
    "bench",
    "examples",
    "tests",
    "docs",
    "README.md",
    "ARCHITECTURE.md",
    "Makefile",
    "pyproject.toml",
)
SUFFIXES = {".py", ".md", ".sql", ".toml", ""}
RETIRED = {
    r"nonsense": "malformed",
    r"gather_seconds|TALLY_GATHER": "linger",
    r"set_\w*aside|\bset\b[^.]{0,30}\baside\b": "quarantined",
    r"hopeless|giving_up|give_up\b": "quarantine",
    r"contracts, section|research note|\(architecture \d": "nothing that is not in the repository",
    r"\bTurns\(|\bBREATHS\b": "ComputeGate, YIELDS_BETWEEN",
    r"whole_campaign": "grain",
    r"may_be_usual|usual_sends|\bidle\.py": "fast path, full reader",
    r"\bsettle\(|import settle\b|audit[./]settling|settled_seconds": "acknowledged, rechecked, stable",
    r"\bLane\b|\b_lanes\b": "PartitionAppender",
    r"\bLetter\b|DeadLetters, \"keep\"|dead_letters\.keep": "DeadLetter, write",
    r"\buntil_stirred\b|\buntil_half\b|\.stir\(": "notify, wait_for_records, wait_for_room",
    r"say_goodbye|ami[./]wire": "log_off, connection",
    r"\blet_go\b|\bdie\(|\b_leave\(": "revoke_all, revoked, abort, exit",
    r"(?i)\bsweeps?\b|\bswept\b|sweep_|_swept|\brisen\b": "resync, Resynced",
    r"\bis_gone\b|channel\.gone|\bgone: bool": "vanished",
    r"[Ss]ighting|SIGHTING": "CustomerSeen",
    r"[Gg]limpse": "ChannelSnapshot",
    r"\bJourney\b|journeys_of": "CallResult",
    r"_Hearing|heard_by": "connected_by, ConnectedSpans",
    r"\b(Route|Fold|Pbx)Watch\b|\bOutcomes\(Protocol": "…Observer",
    r"\b(Store|Fold)Settings\b|\bPolicy\(|\bWorld\(Struct|\bTiming\(": "…Config, …Ports",
    r"view[./]reader\b|web[./]site\b|\bSITE\b": "view/queries, web/endpoints",
    r"def _?take\b|\b_?take_(row|progress|ends|committed|status)\b": "apply, note, split, next_batch",
    r"\bUnflushed\b|\b_stand\(|\bStanding\b": "Cuts, SinkProgress",
    r"\bRawPlace\b|\bReadPlace\b|\bclass Place\b": "RawPartition, PartitionRead, Rank",
    r"\b_Told\b|call_told": "identified, OnProgress",
    r"\b(connected|talk|hold|queue_wait|wait)_s\b": "…_ms",
    r"(?i)TALLY_FLUSH|tally_flush_|\bflush_(progress|rows|seconds)\b|\bflushers?\b|agents[./]flush": "sink",
}
"""Patterns, each with the word that stands in their place."""


@pytest.mark.parametrize("pattern", RETIRED)
def test_a_retired_word_stands_nowhere(pattern: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in _texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(pattern, line)
    ]

    assert found == [], f"say {RETIRED[pattern]}"


def _texts() -> list[Path]:
    places = [ROOT / place for place in PLACES]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*"))]
    found = [
        file
        for file in files
        if file.is_file()
        and file.suffix in SUFFIXES
        and file != Path(__file__)
        and "samples" not in file.parts
    ]
    assert len(found) > 500
    return found
