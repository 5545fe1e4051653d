"""`python -m tests.asterisk.fetch`: brings the locked releases of Asterisk into the user's cache.

Nothing is installed: packages are unpacked into a folder of their own, by any user.
"""

import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from tally.deploy.local.cache import cache_folder, staging
from tests.asterisk.apt import AptFailed, download, mirrors, run
from tests.asterisk.lock import Package, Release, read_lock


def fetch(release: Release, archives: Sequence[str]) -> None:
    """Download and unpack a release that is not there yet, whole or not at all; raises AptFailed."""
    if release.fetched:
        return
    with staging(cache_folder()) as stage:
        for package in release.packages:
            archive = stage / package.file_name
            _download(package, archives, archive)
            run("dpkg-deb", "--extract", str(archive), str(stage / "root"))
        (stage / "root").rename(release.folder)


def _download(package: Package, archives: Sequence[str], target: Path) -> None:
    failures = []
    for archive in archives:
        try:
            return download(f"{archive}{package.pool_path}", target, package.sha256)
        except AptFailed as error:
            failures.append(str(error))
    raise AptFailed(f"no configured archive has {package.name} {package.version}\n" + "\n".join(failures))


def main() -> int:
    """Fetch all releases; 1 where none can be had."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        sys.exit("the locked packages are for Linux on x86_64")
    releases = read_lock()
    for release in releases:
        try:
            fetch(release, mirrors())
        except AptFailed as error:
            # A moving suite drops old versions: the other release may still be there.
            _say(f"Asterisk {release.name} cannot be had: {error}")
            _say("pin what the suite has now with `python -m tests.asterisk.pin`")
        else:
            _say(f"Asterisk {release.name} in {release.folder}")
    return 0 if any(release.fetched for release in releases) else 1


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
