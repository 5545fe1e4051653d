"""PostgreSQL refuses to run as root; as root it runs as `nobody`."""

import os
import pwd
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from tally.deploy.local.errors import UnsupportedPlatform

ACCOUNT = "nobody"
REACH = (
    # To walk through folders and to read is enough: what it writes to is its own.
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
    # Or access(2), by which PostgreSQL looks for its own programs, would not honour the capability.
    "--securebits=+no_setuid_fixup",
)


def open_to_others(path: Path) -> bool:
    """Whether any account may walk to `path` through the folders above it."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def give_to_account(path: Path) -> None:
    """As root, give `path` to the account that the server runs as."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(ACCOUNT)
        os.chown(path, account.pw_uid, account.pw_gid)


def unprivileged(argv: Sequence[str], *paths: Path) -> list[str]:
    """The command line that runs `argv` without being root; unchanged for everybody but root.

    Where `nobody` cannot walk to one of `paths` (a checkout in a private home folder), the process keeps the
    one capability that lets it, so that no folder of the user has to be opened to everybody.
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
