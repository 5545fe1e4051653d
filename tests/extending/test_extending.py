"""docs/extending.md is true: patches that follow it are applied to a copy of the tree; laws hold there."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.servers import Postgres

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
PATCHES = ("counter", "topic", "endpoint")
COPIED = ("tally", "tests", "docs", "README.md", "pyproject.toml")
RUN_SECONDS = 170.0
LAWS = (
    "tests/contract/test_registry_sql.py",
    "tests/contract/test_sources.py",
    "tests/contract/test_examples.py",
    "tests/integration/test_examples_against_recount.py",
    "tests/contract/test_families.py::test_a_contribution_names_registered_counters_of_its_family_and_counts_up",
    "tests/integration/test_web.py::test_every_address_answers_get_alone_and_names_what_it_does_not_read",
    "tests/integration/test_web.py::test_every_module_with_routes_is_served",
)


def places(name: str) -> set[str]:
    """Return the files that a patch touches."""
    patch = (ROOT / "tests" / "extending" / f"{name}.patch").read_text()
    return set(re.findall(r"^\+\+\+ b/(.+)$", patch, re.MULTILINE)) | set(
        re.findall(r"^diff --git a/(\S+) b/", patch, re.MULTILINE)
    )


def documented(name: str) -> set[str]:
    """Return the files that the doc names in the numbered list of a section."""
    page = (ROOT / "docs" / "extending.md").read_text()
    section = page.partition(f"\n## A {'raw topic' if name == 'topic' else name}\n")[2].partition("\n## ")[0]
    section = section or page.partition(f"\n## An {name}\n")[2].partition("\n## ")[0]
    return {found for line in re.findall(r"^\d+\. (.+)$", section, re.MULTILINE) for found in _files(line)}


def _files(line: str) -> list[str]:
    return re.findall(r"`(tally/[^`]+)`", line)


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_touches_what_the_doc_says_and_nothing_else(name: str) -> None:
    found, said = places(name), documented(name)
    assert said
    for place in said:
        assert any(file == place or (place.endswith("/") and file.startswith(place)) for file in found), place
    for file in found:
        assert file in said or any(file.startswith(place) for place in said if place.endswith("/")), file


@pytest.mark.asyncio
async def test_the_laws_hold_with_a_counter_a_topic_and_an_endpoint_more(
    postgres: Postgres, tmp_path: Path
) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    for name in PATCHES:
        await run(tmp_path, "git", "apply", str(ROOT / "tests" / "extending" / f"{name}.patch"))
    pages = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "docs").glob("*.md"))
    cogged = ("README.md", *pages, "tally/deploy/views.sql")
    await run(tmp_path, sys.executable, "-m", "cogapp", "-r", *cogged)
    await run(
        tmp_path, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *LAWS, dsn=postgres.dsn
    )

    assert "sum(delivered_unread)" in (tmp_path / "tally/deploy/views.sql").read_text()
    assert "| `delivered_unread` | message |" in (tmp_path / "docs/counters.md").read_text()
    assert "campaign-count" in (tmp_path / "docs/dashboards.md").read_text()
    assert "campaign-count" in (tmp_path / "README.md").read_text()


async def run(folder: Path, *command: str, dsn: str = "") -> None:
    """Run a command of the copy, which is first on its path."""
    environment = os.environ | {"PYTHONPATH": str(folder)} | ({"TALLY_POSTGRES_DSN": dsn} if dsn else {})
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(RUN_SECONDS):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, printed.decode()
