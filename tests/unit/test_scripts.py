"""The scripts of the pages: those of others are locked and packed with their licence, and all are small."""

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import orjson
import pytest

from hatch_build import PAGES, lock_digest
from tally.streams.web.page_files import MODULES, loaded, read_files

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / PAGES
LIBRARY = "uplot.js"
MOST_BYTES = 100_000


def test_the_lock_has_an_integrity_and_no_address_for_each_package() -> None:
    lock = orjson.loads((ROOT / "package-lock.json").read_bytes())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    for name, one in packages.items():
        assert one["integrity"].startswith("sha512-"), name
        assert "resolved" not in one, name
        assert one["license"] in {"MIT", "BSD-3-Clause", "Apache-2.0"}, name


def test_the_script_that_is_served_is_the_locks() -> None:
    assert lock_digest(ROOT) in (FOLDER / LIBRARY).read_text()[:200], "make sets it up again"
    assert b"MIT License" in read_files().by_name["uplot-licence.txt"].body


@pytest.mark.timeout(120)
def test_a_wheel_has_the_scripts_and_their_licence_so_that_it_needs_no_npm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={"PATH": "/none"})  # noqa: S603
    (wheel,) = tmp_path.glob("*.whl")
    packed = {Path(name).name for name in ZipFile(wheel).namelist() if name.startswith(PAGES)}
    assert packed == {one.name for one in FOLDER.iterdir()}
    assert {LIBRARY, "uplot-licence.txt", "main.js"} <= packed


@pytest.mark.parametrize("module", MODULES.values())
def test_what_a_page_loads_before_it_shows_anything_is_small_and_has_no_chart(module: str) -> None:
    bodies = {one.name: one.read_bytes() for one in FOLDER.iterdir()}
    names = loaded(module, bodies)
    assert {"main.js", "dom.js", "live.js", module} <= {*names}
    assert LIBRARY not in names
    assert sum(len(bodies[name]) for name in names) < MOST_BYTES * 0.75


def test_all_scripts_together_are_small_on_the_wire_and_none_is_forgotten() -> None:
    files = read_files().by_name
    scripts = {name: one for name, one in files.items() if name.endswith(".js")}
    assert sum(len(one.packed) for one in scripts.values()) < MOST_BYTES
    bodies = {name: one.body for name, one in scripts.items()}
    reached = {name for module in MODULES.values() for name in loaded(module, bodies)}
    lazily = {
        name
        for body in bodies.values()
        for name in re.findall(r'import\("\./([a-z_]+\.js)"\)', body.decode())
    }
    nested = {name for one in lazily for name in loaded(one, bodies)}
    assert reached | lazily | nested == scripts.keys()
