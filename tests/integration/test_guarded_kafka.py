"""Brokers that ask for TLS, a login and rights: everything counts with its own rights alone, and each way in
that is wrong is named in one line, with the setting to look at."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tally.streams.dev.free_port import free_port
from tally.streams.dev.judging import judged
from tally.streams.operations.unreached import explained
from tally.streams.settings import load, variable
from tests.support.gateway import records_of
from tests.support.guarded_kafka import GuardedKafka, guarded_kafka, make_users, password_of
from tests.support.guarded_whole import BURST, ROLES, Guarded, publish_through_doors, whole
from tests.support.judge import counted, simulated
from tests.support.keys import answers_of
from tests.support.waiting import until
from tests.support.workers import said, tally_process

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240), pytest.mark.long]

COMMANDS = {
    "keys": ("keys", "add", "--tenants", "t1"),
    "numbers": ("numbers", "set", "100", "t1"),
    "doctor": ("doctor",),
}
"""Commands by whose user runs them; all others run in tests/faults/groups/test_broker_rights.py."""
PORTS = ("web", "metrics", "gateway", "gateway_metrics", "audit_metrics")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    server = guarded_kafka(free_port(0), free_port(0)).start(tmp_path_factory.mktemp("guarded"), 0)
    assert isinstance(server, GuardedKafka)
    try:
        yield server
    finally:
        server.stop()


async def test_the_whole_counts_with_exactly_the_rights_that_the_list_names(
    kafka: GuardedKafka, database: str, tmp_path: Path
) -> None:
    guarded = Guarded(kafka, database)
    await guarded.admit(
        ROLES,
        *([one] for one in ("gateway", "ami", "publish", "audit --raw", "topics declare", *COMMANDS)),
    )
    await guarded.says(tmp_path / "declare.log", "topics declare", "topics", "declare")
    async with whole(guarded, tmp_path) as running:
        await publish_through_doors(guarded, running, simulated(seed=1, contacts_per_campaign=15))
        await until(lambda: len(running.pbx.sent) >= len(BURST))
        await counted(running.view)
        for who, arguments in COMMANDS.items():
            await guarded.says(tmp_path / f"{who}.log", who, *arguments)
        async with answers_of(running.view) as answers:
            judgement = await judged(guarded.settings, answers)
        assert [*judgement.in_view, *judgement.in_postgres] == []
        raw = await records_of(guarded.settings, "ami-events")
        assert set(running.pbx.sent) <= {record.value for record in raw}
        view = running.view.url
        await guarded.says(tmp_path / "audit.log", "audit --raw", "audit", "--raw", "--view", view)
    assert [name for name, text in logs_in(tmp_path).items() if "the-password-of" in text] == []


def logs_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.log")}


def other_authority(folder: Path) -> str:
    path = folder / "another-ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return str(path)


Changed = Callable[[GuardedKafka, Path], dict[str, str]]
NO_LOGIN = {"kafka_username": "", "kafka_password": ""}
NO_TLS = {"kafka_ca_file": ""}
WRONG: dict[str, tuple[Changed, str]] = {
    "password": (
        lambda *_: {"kafka_password": "a-wrong-one"},
        "refuses the login of alice by SCRAM-SHA-512: expected another TALLY_KAFKA_USERNAME,"
        " TALLY_KAFKA_PASSWORD or TALLY_KAFKA_SASL_MECHANISM",
    ),
    "user": (
        lambda *_: {"kafka_username": "nobody"},
        "refuses the login of nobody by SCRAM-SHA-512: expected another TALLY_KAFKA_USERNAME",
    ),
    "mechanism": (
        lambda *_: {"kafka_sasl_mechanism": "PLAIN"},
        "takes no login by PLAIN: expected another TALLY_KAFKA_SASL_MECHANISM",
    ),
    "authority": (
        lambda _, folder: {"kafka_ca_file": other_authority(folder)},
        "shows a certificate that does not hold: unable to get local issuer certificate (expected one for"
        " this name, signed by TALLY_KAFKA_CA_FILE)",
    ),
    "name": (
        lambda kafka, _: {"kafka_bootstrap": f"localhost:{kafka.ports.users}"},
        "shows a certificate that does not hold: Hostname mismatch",
    ),
    "plain against TLS": (
        lambda *_: {"kafka_security": "PLAINTEXT"} | NO_LOGIN | NO_TLS,
        "speaks TLS there: expected TALLY_KAFKA_SECURITY SSL or SASL_SSL",
    ),
    "plain login against TLS": (
        lambda *_: {"kafka_security": "SASL_PLAINTEXT"} | NO_TLS,
        "speaks TLS there: expected TALLY_KAFKA_SECURITY SSL or SASL_SSL",
    ),
    "TLS against plain": (
        lambda kafka, _: {"kafka_bootstrap": kafka.bootstrap},
        "speaks no TLS there: expected TALLY_KAFKA_SECURITY PLAINTEXT or SASL_PLAINTEXT",
    ),
    "login where there is none": (
        lambda kafka, _: {"kafka_bootstrap": kafka.bootstrap, "kafka_security": "SASL_PLAINTEXT"} | NO_TLS,
        "asks for no login: expected TALLY_KAFKA_SECURITY PLAINTEXT",
    ),
    "no login": (
        lambda *_: {"kafka_security": "SSL"} | NO_LOGIN,
        "expected a login (TALLY_KAFKA_SECURITY SASL_SSL) or a client certificate (TALLY_KAFKA_CERT_FILE)",
    ),
    "no certificate": (
        lambda kafka, _: {"kafka_security": "SSL", "kafka_bootstrap": kafka.certs_bootstrap} | NO_LOGIN,
        "expected a login (TALLY_KAFKA_SECURITY SASL_SSL) or a client certificate (TALLY_KAFKA_CERT_FILE)",
    ),
    "port": (lambda *_: {"kafka_bootstrap": "127.0.0.1:1"}, "connection refused"),
    "host": (lambda *_: {"kafka_bootstrap": "no-such-host.invalid:9092"}, "not known"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_each_wrong_way_in_is_named_with_the_setting_to_look_at(
    kafka: GuardedKafka, tmp_path: Path, what: str
) -> None:
    await make_users(kafka.bootstrap, ["alice"])
    changed, words = WRONG[what]
    settings = load(
        kafka.login("alice") | {variable(name): value for name, value in changed(kafka, tmp_path).items()}
    )

    told = str(await explained(settings))

    assert words in told
    assert "\n" not in told
    assert password_of("alice") not in told
    assert "a-wrong-one" not in told


async def test_a_client_certificate_is_a_login_too(kafka: GuardedKafka, tmp_path: Path) -> None:
    environment = {
        variable("kafka_bootstrap"): kafka.certs_bootstrap,
        variable("kafka_security"): "SSL",
        variable("kafka_ca_file"): str(kafka.ca_file),
        variable("kafka_cert_file"): str(kafka.client_file),
        variable("replication_factor"): "1",
        variable("topic_prefix"): "certs-",
    }
    code, printed = await said(environment, tmp_path / "declare.log", "topics", "declare")
    assert code == 0, printed


@pytest.mark.parametrize(
    "arguments", [("worker",), ("gateway",), ("audit", "--every", "1"), ("keys", "list")]
)
async def test_whoever_starts_with_a_wrong_password_says_so_and_never_shows_it(
    kafka: GuardedKafka, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    await make_users(kafka.bootstrap, ["alice"])
    ports = {variable(f"{one}_port"): str(free_port(0)) for one in PORTS}
    wrong = {variable("kafka_password"): "a-wrong-one", variable("state_folder"): str(tmp_path / "state")}
    log = tmp_path / "log"
    async with tally_process(kafka.login("alice") | ports | wrong, log, *arguments):
        await until(lambda: "refuses the login of alice by SCRAM-SHA-512" in log.read_text())

    assert "a-wrong-one" not in log.read_text()
