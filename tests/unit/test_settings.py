"""Settings are read once, from the environment, and never show a secret."""

import pytest

from tally.streams.settings import SettingsError, load


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TALLY_PARTITION": "8"}, "unknown settings: TALLY_PARTITION"),
        ({"TALLY_PARTITIONS": "many"}, "TALLY_PARTITIONS: "),
        ({"TALLY_PARTITIONS": "0"}, "TALLY_PARTITIONS: "),
        ({"TALLY_ROLES": "fold,dance"}, "TALLY_ROLES at 1: "),
        ({"TALLY_KAFKA_SECURITY": "TELNET"}, "TALLY_KAFKA_SECURITY: "),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{message}"):
        load(environment)


def test_no_secret_is_ever_shown() -> None:
    canary = "postgresql://tally:canary@db/tally"
    settings = load({"TALLY_POSTGRES_DSN": canary, "TALLY_KAFKA_PASSWORD": "canary"})

    assert "canary" not in repr(settings) + str(settings) + str(settings.shown())
    with pytest.raises(SettingsError) as raised:
        load({"TALLY_POSTGRES_DSN": canary, "TALLY_PARTITIONS": "canary"})
    assert "canary" not in str(raised.value)


def test_every_setting_has_a_help_line() -> None:
    assert all(text for _, _, text in load({}).shown())


def test_clients_log_in_where_the_protocol_says_so() -> None:
    client = load(
        {"TALLY_KAFKA_SECURITY": "SASL_SSL", "TALLY_KAFKA_USERNAME": "u", "TALLY_KAFKA_PASSWORD": "p"}
    ).kafka_client()

    assert client["sasl_mechanism"] == "SCRAM-SHA-512"
    assert client["sasl_plain_password"] == "p"  # noqa: S105 - a test's
    assert client["ssl_context"].check_hostname
