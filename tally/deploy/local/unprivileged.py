"""Running PostgreSQL as the account `nobody` if we are root, since it refuses to run as root."""

import os
import pwd
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from tally.deploy.local.errors import UnsupportedPlatform

ACCOUNT = "nobody"
REACH = (
    # Traversing folders and reading is enough: the files that it writes are its own.
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
    # Without this, access(2), by which PostgreSQL finds its own programs, would ignore the capability.
    "--securebits=+no_setuid_fixup",
)


def open_to_others(path: Path) -> bool:
    """Return whether any account may reach `path` through the folders above it."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def give_to_account(path: Path) -> None:
    """If we are root, make the account that the server runs as the owner of `path`."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(ACCOUNT)
        os.chown(path, account.pw_uid, account.pw_gid)


def unprivileged(argv: Sequence[str], *paths: Path) -> list[str]:
    """Return the command line that runs `argv` without root's rights; `argv` itself if we are not root.

    If `nobody` cannot reach one of `paths` (a checkout in a private home folder), the process keeps the one
    capability for it. Otherwise the user would have to open the folders to all accounts.
    """
    if os.geteuid() != 0:
        return list(argv)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise UnsupportedPlatform(
            "as root the embedded PostgreSQL needs setpriv (util-linux), or run as a user"
        )
    account = pwd.getpwnam(ACCOUNT)
    reach = () if all(map(open_to_others, paths)) else REACH
    user = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
    return [setpriv, *user, *reach, "--", *argv]
