"""The check of the lock finds what keeps it from resolving for a Python."""

from tests.support.lock import Package, problems

PACKAGES = {
    "a": Package("1.0", ("b>=2", 'old; python_version < "3.12"', 'more; extra == "x"'), ">=3.11"),
    "b": Package("2.1", (), ">=3.11"),
    "old": Package("1.0"),
    "more": Package("1.0"),
}
PINS = {name: package.version for name, package in PACKAGES.items()}


def _found(pins: dict[str, str], python: str = "3.11", root: str = "a[x]") -> list[str]:
    return problems((root,), pins, PACKAGES.__getitem__, python)


def test_what_is_required_and_locked_resolves() -> None:
    assert _found(PINS) == []


def test_what_is_not_locked_is_named_with_who_requires_it() -> None:
    assert _found({name: pin for name, pin in PINS.items() if name != "b"}) == [
        "a requires b>=2: not in the lock"
    ]


def test_a_locked_version_that_is_not_admitted_is_named() -> None:
    assert _found(PINS | {"b": "1.9"}) == [
        "a requires b>=2: 1.9 is locked",
        "b 1.9 is locked, 2.1 is installed",
    ]


def test_markers_are_of_the_python_that_is_asked_about() -> None:
    assert _found(PINS, python="3.12") == ["old is locked, and nothing requires it"]


def test_extras_are_required_only_where_they_are_asked_for() -> None:
    assert _found(PINS, root="a") == ["more is locked, and nothing requires it"]


def test_a_python_that_a_package_does_not_run_on_is_named() -> None:
    assert "b 2.1 wants Python >=3.11" in _found(PINS, python="3.10")
