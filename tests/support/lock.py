"""Checks that requirements.lock resolves for each Python that Tally runs on, without asking a registry.

Every version in the lock is exact, so nothing is left to choose. The lock resolves for a Python if the locked
versions meet every requirement that holds there, direct or transitive, and if every locked package is
required. Requirements are read from installed metadata. `make lock` accepts only wheels, which ensures that
each package has a wheel for each Python.
"""

import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path

from msgspec import Struct
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


class Package(Struct, frozen=True):
    """The metadata of an installed version."""

    version: str
    requires: tuple[str, ...] = ()
    requires_python: str = ""


def problems(
    roots: tuple[str, ...], pins: Mapping[str, str], package: Callable[[str], Package], python: str
) -> list[str]:
    """Return the problems that keep the lock from resolving for one Python, one line each. Pure."""
    # A requirement occurs again for every extra of the package that requires it.
    return list(dict.fromkeys(_problems(roots, pins, package, python)))


def _problems(
    roots: tuple[str, ...], pins: Mapping[str, str], package: Callable[[str], Package], python: str
) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    waiting = [(requirement, "", "the project") for requirement in roots]
    while waiting:
        text, extra, parent = waiting.pop()
        requirement = Requirement(text)
        name = str(canonicalize_name(requirement.name))
        there = {"python_version": python, "python_full_version": f"{python}.0", "extra": extra}
        if requirement.marker is not None and not requirement.marker.evaluate(there):
            continue
        if name not in pins:
            yield f"{parent} requires {text}: not in the lock"
            continue
        if not requirement.specifier.contains(pins[name], prereleases=True):
            yield f"{parent} requires {text}: {pins[name]} is locked"
        found = package(name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(required, wanted, name) for required in found.requires]
    reached = {name for name, _ in seen}
    for name, version in pins.items():
        found = package(name)
        if name not in reached:
            yield f"{name} is locked, and nothing requires it"
        if found.version != version:
            yield f"{name} {version} is locked, {found.version} is installed"
        if not SpecifierSet(found.requires_python).contains(f"{python}.0"):
            yield f"{name} {version} wants Python {found.requires_python}"


def installed(name: str) -> Package:
    """Return the metadata of an installed package."""
    found = distribution(name)
    # Indexing a missing header raises a warning from Python 3.12 on.
    admitted = found.metadata.get_all("Requires-Python") or [""]
    return Package(found.version, tuple(found.requires or ()), admitted[0])


def main() -> int:
    """Check the lock for every Python; return 1 if one does not resolve."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    roots = (*project["project"]["dependencies"], *project["dependency-groups"]["dev"])
    locked = PIN.findall((ROOT / "requirements.lock").read_text())
    pins = {str(canonicalize_name(name)): version for name, version in locked}
    found = [
        f"Python {python}: {line}" for python in PYTHONS for line in problems(roots, pins, installed, python)
    ]
    admitted = SpecifierSet(project["project"]["requires-python"])
    found += [
        f"requires-python does not admit {python}" for python in PYTHONS if f"{python}.0" not in admitted
    ]
    sys.stdout.writelines(f"requirements.lock: {line}\n" for line in found)
    if not found:
        sys.stdout.write(
            f"requirements.lock resolves for Python {', '.join(PYTHONS)}: {len(pins)} packages\n"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
