"""The machine's own apt: its mirrors, its way to them and its checks; nothing in its folders is written."""

import os
import subprocess
from pathlib import Path

DEADLINE_SECONDS = 300.0
HELPER = "/usr/lib/apt/apt-helper"
# Where root runs this, apt would else want another account to reach our folders.
AS_WE_ARE = ("-o", "APT::Sandbox::User=root")


class AptFailed(Exception):
    """A tool of apt failed; its output is in the message."""


def run(*argv: str) -> str:
    """Run a tool and return what it prints; raises AptFailed."""
    try:
        done = subprocess.run(  # noqa: S603 - the tools are our own choice
            argv,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AptFailed(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        raise AptFailed(f"{argv[0]} exited with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def mirrors() -> list[str]:
    """Return the addresses of the archives that this machine's apt is configured for."""
    targets = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    return list(dict.fromkeys(targets.split()))


def download(address: str, target: Path, sha256: str) -> None:
    """Bring one file, which apt checks against its checksum."""
    run(HELPER, *AS_WE_ARE, "download-file", address, str(target), f"SHA256:{sha256}")


def private_root(folder: Path, mirror: str, suite: str) -> tuple[str, ...]:
    """Return the options by which apt knows one suite of `mirror` only, and keeps its state in `folder`."""
    for part in ("lists/partial", "cache/archives/partial", "parts"):
        (folder / part).mkdir(parents=True)
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (folder / "sources").write_text(f"deb [signed-by={keyring}] {mirror} {suite} main\n")
    (folder / "status").touch()
    places = {
        "Dir::Etc::sourcelist": "sources",
        "Dir::Etc::sourceparts": "parts",
        "Dir::State": "",
        "Dir::State::lists": "lists",
        "Dir::State::status": "status",
        "Dir::Cache": "cache",
    }
    options = [f"{option}={folder / place}" for option, place in places.items()]
    return (*AS_WE_ARE, *(part for option in options for part in ("-o", option)))
