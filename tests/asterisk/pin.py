"""`python -m tests.asterisk.pin [release]`: pins what the suites have now."""

import sys
from email.parser import Parser
from pathlib import Path

from tally.deploy.local.cache import cache_folder, staging
from tests.asterisk.apt import mirrors, private_root, run
from tests.asterisk.lock import LOCK_PATH, Package, Release, read_lock, write_lock

# All that the modules of config/modules.conf load; what else the packages depend on is for modules left out.
BOTH = (
    *("asterisk", "asterisk-modules", "libc6", "libgcc-s1", "libstdc++6", "libcap2", "libcrypt1", "libedit2"),
    *("libbsd0", "libmd0", "libtinfo6", "libjansson4", "libsqlite3-0", "libsystemd0", "liburiparser1"),
    *("libuuid1", "libxslt1.1", "zlib1g", "libzstd1"),
)
OLD = ("libssl1.1", "libxml2", "libicu67", "liblzma5", "liblz4-1", "libgcrypt20", "libgpg-error0")
WANTED = (
    ("22", "sid", (*BOTH, "libssl3t64", "libxml2-16")),
    ("16", "bullseye", (*BOTH, *OLD)),
)


def pin(name: str, suite: str, packages: tuple[str, ...], folder: Path) -> Release:
    """Return what the suite has of these packages now; raises AptFailed."""
    options = private_root(folder, mirrors()[0], suite)
    run("apt-get", *options, "update")
    shown = run("apt-cache", *options, "show", "--no-all-versions", *packages)
    found = [_package(paragraph) for paragraph in shown.strip().split("\n\n")]
    return Release(name, suite, tuple(sorted(found, key=lambda package: package.name)))


def _package(paragraph: str) -> Package:
    fields = Parser().parsestr(paragraph, headersonly=True)
    return Package(fields["Package"], fields["Version"], fields["Filename"], fields["SHA256"])


def main(only: list[str]) -> None:
    """Pin the named releases again, or all."""
    locked = {release.name: release for release in read_lock()} if LOCK_PATH.exists() else {}
    with staging(cache_folder()) as stage:
        for name, suite, packages in WANTED:
            if name in only or not only:
                locked[name] = pin(name, suite, packages, stage / name)
    write_lock(tuple(locked.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
