"""Settings are read once, from the environment, and never show a secret."""

import subprocess
from pathlib import Path

import pytest

from tally.agents.sink.cuts import Bounds
from tally.agents.sink.ports import SinkConfig
from tally.streams.settings import SettingsError, load


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"TALLY_PARTITION": "8", "TALLY_X": "", "tally_web_port": "1", "TALLYHO": "", "OTHER": ""},
            r"unknown settings: TALLY_PARTITION \(is it TALLY_PARTITIONS\?\), TALLY_X, tally_web_port"
            r" \(is it TALLY_WEB_PORT\?\); `tally config` lists all$",
        ),
        ({"TALLY_PARTITIONS": "many"}, "TALLY_PARTITIONS: "),
        ({"TALLY_PARTITIONS": "0"}, "TALLY_PARTITIONS: "),
        ({"TALLY_PROCESSES": "0"}, "TALLY_PROCESSES: Input should be greater than or equal to 1"),
        ({"TALLY_PROCESSES": "4"}, "TALLY_PROCESSES: Input should be less than or equal to 3"),
        ({"TALLY_PROCESSES": "two"}, "TALLY_PROCESSES: Input should be a valid integer"),
        ({"TALLY_PROCESSES": "2.5"}, "TALLY_PROCESSES: Input should be a valid integer"),
        ({"TALLY_MEMORY_MB": "64MB"}, "TALLY_MEMORY_MB: Input should be a valid integer"),
        ({"TALLY_MEMORY_MB": "0"}, "TALLY_MEMORY_MB: Input should be greater than or equal to 16"),
        ({"TALLY_COMPACTION_LAG_SECONDS": "2h"}, "TALLY_COMPACTION_LAG_SECONDS: Input should be a valid int"),
        ({"TALLY_COMPACTION_LAG_SECONDS": "0"}, "TALLY_COMPACTION_LAG_SECONDS: Input should be greater than"),
        ({"TALLY_SINK_SECONDS": "nan"}, "TALLY_SINK_SECONDS: "),
        ({"TALLY_ROLES": "fold,dance"}, "TALLY_ROLES at 1: "),
        (
            {"TALLY_ROLES": " , "},
            "TALLY_ROLES: expected some of route, fold, sink, view, separated by commas$",
        ),
        ({"TALLY_KAFKA_SECURITY": "TELNET"}, "TALLY_KAFKA_SECURITY: "),
        (
            {"TALLY_KAFKA_SECURITY": "SASL_SSL"},
            "TALLY_KAFKA_USERNAME: is needed, since TALLY_KAFKA_SECURITY says so;"
            " TALLY_KAFKA_PASSWORD: is needed, since TALLY_KAFKA_SECURITY says so$",
        ),
        (
            {"TALLY_KAFKA_SECURITY": "SSL", "TALLY_KAFKA_CA_FILE": "nowhere.pem"},
            "TALLY_KAFKA_CA_FILE: No such file or directory$",
        ),
        (
            {"TALLY_KAFKA_SECURITY": "SSL", "TALLY_KAFKA_CERT_FILE": "nowhere.pem"},
            "TALLY_KAFKA_CERT_FILE: No such file or directory$",
        ),
        (
            {"TALLY_KAFKA_SECURITY": "SSL", "TALLY_KAFKA_CA_FILE": __file__},
            "TALLY_KAFKA_CA_FILE: expected certificates in PEM$",
        ),
        (
            {"TALLY_KAFKA_SECURITY": "SSL", "TALLY_KAFKA_CERT_FILE": __file__},
            "TALLY_KAFKA_CERT_FILE: expected a certificate in PEM, and its key there or in"
            " TALLY_KAFKA_KEY_FILE$",
        ),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{message}"):
        load(environment)


WITHOUT_LOGIN = "is of no use unless TALLY_KAFKA_SECURITY is SASL_PLAINTEXT or SASL_SSL"
WITHOUT_TLS = "is of no use unless TALLY_KAFKA_SECURITY is SSL or SASL_SSL"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"KEY_FILE": "k.pem", "SECURITY": "SSL"}, {"KEY_FILE": "without TALLY_KAFKA_CERT_FILE"}),
        ({"KEY_FILE": "k.pem", "CERT_FILE": ""}, {"KEY_FILE": WITHOUT_TLS}),
        ({"CA_FILE": "ca.pem", "CERT_FILE": "c.pem"}, {"CA_FILE": WITHOUT_TLS, "CERT_FILE": WITHOUT_TLS}),
        ({"USERNAME": "u", "PASSWORD": "canary"}, {"USERNAME": WITHOUT_LOGIN, "PASSWORD": WITHOUT_LOGIN}),
        ({"USERNAME": "u", "SECURITY": "SSL"}, {"USERNAME": WITHOUT_LOGIN}),
        ({"SASL_MECHANISM": "SCRAM-SHA-512"}, {"SASL_MECHANISM": WITHOUT_LOGIN}),
    ],
)
def test_what_nothing_reads_without_another_setting_is_refused(
    given: dict[str, str], named: dict[str, str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        load({f"TALLY_KAFKA_{name}": value for name, value in given.items()})
    said = dict(line.split(": ") for line in str(refused.value).split("; "))
    assert said.keys() == {f"TALLY_KAFKA_{name}" for name in named}
    assert all(words in said[f"TALLY_KAFKA_{name}"] for name, words in named.items())


def test_what_is_set_to_nothing_is_not_set() -> None:
    names = ("CA_FILE", "CERT_FILE", "KEY_FILE", "USERNAME", "PASSWORD")
    assert load({f"TALLY_KAFKA_{name}": "" for name in names}).kafka == load({}).kafka


@pytest.mark.parametrize(
    "written",
    ["https://tally.example.com", "tally.example.com:8443", "tally.example.com/", "*", "ok.example,[::1]"],
)
def test_a_host_that_no_request_can_name_is_refused(written: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^TALLY_WEB_HOSTS: expected names without scheme, port and path"
    ):
        load({"TALLY_WEB_HOSTS": written})


@pytest.mark.parametrize(
    "written",
    ["dash.example", "https://dash.example/", "https://Dash.example", "*", "null", "https://me@dash.example"],
)
def test_an_origin_that_no_browser_writes_is_refused(written: str) -> None:
    with pytest.raises(SettingsError, match=r"^TALLY_WEB_ORIGINS: expected scheme and name in lower case"):
        load({"TALLY_WEB_ORIGINS": f"https://ok.example,{written}"})


def test_hosts_and_origins_are_taken_as_requests_write_them() -> None:
    settings = load(
        {
            "TALLY_WEB_HOSTS": "hooks.example.com, Tally.example.com,worker_1",
            "TALLY_WEB_ORIGINS": "https://dash.example, http://127.0.0.1:5173,app://x,http://[::1]:80",
        }
    )
    assert settings.web_hosts == ("hooks.example.com", "Tally.example.com", "worker_1")
    assert len(settings.web_origins) == 4


def test_no_setting_comes_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLY_WEB_PORT", "1")
    monkeypatch.setenv("tally_generation", "7")
    assert load({"TALLY_PARTITIONS": "3"}) == load({}, partitions=3)
    assert load({}).web_port == 6066


def test_a_role_that_is_named_twice_is_one() -> None:
    assert load({"TALLY_ROLES": "view,route,view"}).roles == ("view", "route")


def test_no_secret_is_ever_shown() -> None:
    canary = "postgresql://tally:canary@db/tally"
    login = {"TALLY_KAFKA_SECURITY": "SASL_PLAINTEXT", "TALLY_KAFKA_USERNAME": "u"}
    settings = load({"TALLY_POSTGRES_DSN": canary, "TALLY_KAFKA_PASSWORD": "canary", **login})

    shown = (settings, settings.shown(), settings.kafka)
    assert "canary" not in "".join(repr(one) + str(one) for one in shown)
    with pytest.raises(SettingsError) as raised:
        load({"TALLY_POSTGRES_DSN": canary, "TALLY_PARTITIONS": "canary"})
    assert "canary" not in str(raised.value)


def test_every_setting_has_a_help_line() -> None:
    assert all(text for _, _, text in load({}).shown())


def test_clients_log_in_where_the_protocol_says_so() -> None:
    client = load(
        {"TALLY_KAFKA_SECURITY": "SASL_SSL", "TALLY_KAFKA_USERNAME": "u", "TALLY_KAFKA_PASSWORD": "p"}
    ).kafka.client()

    assert client["sasl_mechanism"] == "SCRAM-SHA-512"
    assert client["sasl_plain_password"] == "p"  # noqa: S105 - a test's
    assert client["ssl_context"].check_hostname


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_pass_phrase(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(  # noqa: S603 - our own command
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:secret", "-days", "1"),
            *("-subj", "/CN=test", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    named = {"TALLY_KAFKA_CERT_FILE": str(certificate), "TALLY_KAFKA_KEY_FILE": str(key)}

    with pytest.raises(SettingsError, match=r"^TALLY_KAFKA_KEY_FILE: the key is encrypted"):
        load({"TALLY_KAFKA_SECURITY": "SSL", **named})


def test_a_workers_defaults_are_the_sinks_defaults() -> None:
    settings = load({})
    bounds = Bounds(most_entries=settings.sink_rows, compaction_lag_seconds=settings.compaction_lag_seconds)
    config = SinkConfig(settings.sink_seconds, bounds, partitions_at_once=settings.postgres_pool_size)
    assert config == SinkConfig()


def test_a_wrong_element_of_a_list_is_said_once() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"TALLY_ROLES": "foo"})
    assert str(refused.value) == "TALLY_ROLES at 0: Input should be 'route', 'fold', 'sink' or 'view'"


@pytest.mark.parametrize("written", ["canary", "host=canary", "http://canary", "", "canary:5432/tally"])
def test_a_dsn_that_is_no_url_of_postgres_is_refused_with_what_is_expected(written: str) -> None:
    with pytest.raises(SettingsError, match=r"TALLY_POSTGRES_DSN.*expected postgresql://user") as refused:
        load({"TALLY_POSTGRES_DSN": written})
    assert "canary" not in str(refused.value)
