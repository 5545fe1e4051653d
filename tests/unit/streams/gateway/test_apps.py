"""Laws of the settings of apps: no app is open to forgery, and no secret is ever shown."""

import json
from typing import Any

import pytest

from tally.streams.settings import SettingsError, load

GOOD = {"name": "shop", "secrets": ["canary"], "verify_token": "canary-of-enough-letters"}


def apps(*given: object) -> dict[str, str]:
    return {"TALLY_GATEWAY_APPS": json.dumps(list(given))}


def test_apps_are_a_json_list() -> None:
    (app,) = load(apps(GOOD | {"secrets": ["new", "old"], "tenant": "t1"})).gateway_apps

    assert (app.name, app.keys, app.tenant) == ("shop", (b"new", b"old"), "t1")
    assert load({"TALLY_GATEWAY_APPS": ""}).gateway_apps == ()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"secrets": []}, "app shop: give one app secret, or two while it is rotated, none empty"),
        ({"secrets": [""]}, "app shop: give one app secret"),
        ({"secrets": ["canary", ""]}, "app shop: give one app secret"),
        ({"secrets": [" "]}, "app shop: give one app secret"),
        ({"secrets": ["canary", "\t\n"]}, "app shop: give one app secret"),
        ({"secrets": ["canary\n"]}, "app shop: a secret has blanks or a line end around it"),
        ({"verify_token": " " * 16}, "app shop: the verify token must have at least 16 characters"),
        ({"name": "."}, "name: "),
        ({"name": ".."}, "name: "),
        ({"name": "x" * 65}, "name: "),
        ({"secrets": ["canary", "canary2", "canary3"]}, "app shop: give one app secret"),
        ({"secrets": None}, "secrets: "),
        ({"verify_token": "canary-of-15-le"}, "app shop: the verify token must have at least 16 characters"),
        ({"name": "a/b"}, "name: "),
        ({"name": ""}, "name: "),
        ({"tenant": ""}, "tenant: expected text of 1 to 128 characters, none of them U+0000"),
        ({"tenant": "x" * 129}, "tenant: expected text of 1 to 128 characters"),
        ({"tenant": "t\0"}, "tenant: expected text of 1 to 128 characters"),
        ({"tenant": ["t1"]}, "tenant: expected text of 1 to 128 characters"),
        ({"secret": "canary"}, "secret: "),
    ],
)
def test_an_app_that_could_be_forged_stops_the_start(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=r"^TALLY_GATEWAY_APPS at 0") as raised:
        load(apps(GOOD | changed))
    assert message in str(raised.value)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("field", ["tenant", "verify_token"])
def test_a_half_of_a_character_stops_the_start(field: str) -> None:
    """No header and no signature could be made of it, so that each webhook would fail."""
    with pytest.raises(SettingsError, match=r"^TALLY_GATEWAY_APPS: is no JSON in UTF-8$"):
        load(apps(GOOD | {field: "canary" * 3 + "\ud800"}))


@pytest.mark.parametrize("name", ["a", "7", "x" * 64, "shop-1_b.c", "_a", ".well-known"])
def test_a_name_is_a_part_of_an_address(name: str) -> None:
    (app,) = load(apps(GOOD | {"name": name})).gateway_apps
    assert str(app) == name


@pytest.mark.parametrize(
    ("written", "tenant"),
    [
        (None, None),
        ("t1", "t1"),
        (7, "7"),
        (" ü ", " ü "),
        ("3F2504E0-4F89-11D3-9A0C-0305E82C3301", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
    ],
)
def test_a_tenant_is_read_as_in_events_and_addresses(written: object, tenant: str | None) -> None:
    (app,) = load(apps(GOOD | {"tenant": written})).gateway_apps
    assert app.tenant == tenant


def test_two_apps_have_two_names() -> None:
    with pytest.raises(SettingsError, match="two apps have the same name"):
        load(apps(GOOD, GOOD))


def test_secrets_are_never_shown() -> None:
    settings = load(apps(GOOD))

    assert "canary" not in "".join(repr(one) + str(one) for one in (settings, settings.shown()))
