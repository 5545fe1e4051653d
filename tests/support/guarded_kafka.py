"""The embedded broker as companies run it: TLS, users who log in by SCRAM, and an authorizer.

Beside the listener for users it has the plain one, on which tests may do everything, and one with TLS and no
login, which asks for a client certificate.
"""

import os
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from hashlib import pbkdf2_hmac
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import trustme
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest_v1
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from cryptography.hazmat.primitives import serialization

from tally.deploy.local import LocalKafka
from tally.deploy.local.ports import LOOPBACK
from tally.deploy.local.processes import Command
from tally.streams.operations.rights_needed import Right
from tally.streams.settings import variable

KINDS = {"topic": 2, "group": 3, "transactional id": 5}
LITERAL, PREFIXED = 3, 4
ALLOW = 3
EVERY_HOST = "*"
"""Numbers of Kafka's protocol."""
SCRAM_SHA_512 = 2
ITERATIONS = 4096
"""The fewest that Kafka takes."""

GUARDED = r"""
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port},USERS://{host}:{users_port},CERTS://{host}:{certs_port}
advertised.listeners=PLAINTEXT://{host}:{port},USERS://{host}:{users_port},CERTS://{host}:{certs_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,USERS:SASL_SSL,CERTS:SSL
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:CN=tests
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.users.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.users.scram-sha-512.sasl.jaas.config=\
    org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=ca.pem
listener.name.certs.ssl.client.auth=required
listener.name.certs.ssl.principal.mapping.rules=RULE:^.*CN=([^,]+).*$/CN=$1/,DEFAULT
"""
LOGGING = """
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.rights.type=File
appender.rights.name=rights
appender.rights.fileName=authorizer.log
appender.rights.layout.type=PatternLayout
appender.rights.layout.pattern=%m%n
logger.rights.name=kafka.authorizer.logger
logger.rights.level=debug
logger.rights.additivity=false
logger.rights.appenderRef.rights.ref=rights
"""
DECISION = re.compile(
    r"Principal = User:(?P<user>\S+) is (?P<verdict>Allowed|Denied) operation = (?P<operation>\w+)"
    r" from host = \S+ on resource = (?P<kind>\w+):LITERAL:(?P<name>\S+) for request"
)
KIND_OF = {"Topic": "topic", "Group": "group", "TransactionalId": "transactional id"}


class Ports(NamedTuple):
    """The ports of the listener for users and of the one for client certificates."""

    users: int
    certs: int


class GuardedKafka(LocalKafka):
    """A broker with TLS and users; clients of the plain listener have all rights."""

    ports: ClassVar[Ports] = Ports(0, 0)

    @property
    def users_bootstrap(self) -> str:
        """`host:port` for users who log in over TLS."""
        return f"{LOOPBACK}:{self.ports.users}"

    @property
    def certs_bootstrap(self) -> str:
        """`host:port` for clients with a certificate."""
        return f"{LOOPBACK}:{self.ports.certs}"

    @property
    def ca_file(self) -> Path:
        """The certificate of who has signed the broker's."""
        return self.home / "ca.pem"

    @property
    def client_file(self) -> Path:
        """A client's certificate and its key."""
        return self.home / "client.pem"

    @classmethod
    def _command(cls, home: Path, port: int) -> Command:
        command = super()._command(home, port)
        ca = trustme.CA()
        ca.cert_pem.write_to_path(home / "ca.pem")
        (home / "broker.pem").write_bytes(for_java(ca.issue_cert(LOOPBACK)))
        ca.issue_cert("tests", common_name="tests").private_key_and_cert_chain_pem.write_to_path(
            home / "client.pem"
        )
        path = home / "server.properties"
        before = path.read_text(encoding="ascii")
        listeners = next(
            line.partition("=")[2] for line in before.splitlines() if line.startswith("listeners=")
        )
        more = GUARDED.format(
            host=LOOPBACK,
            port=port,
            controller_port=listeners.rpartition(":")[2],
            users_port=cls.ports.users,
            certs_port=cls.ports.certs,
        )
        path.write_text(before + more, encoding="ascii")
        (home / "logging.properties").write_text(LOGGING, encoding="ascii")
        java, *options = command.argv
        return Command((java, "-Dlog4j2.configurationFile=logging.properties", *options), command.environment)

    def login(self, user: str) -> dict[str, str]:
        """Return the environment of a process that logs in as a user; the name is also the password."""
        return {
            variable("kafka_bootstrap"): self.users_bootstrap,
            variable("kafka_security"): "SASL_SSL",
            variable("kafka_username"): user,
            variable("kafka_password"): password_of(user),
            variable("kafka_ca_file"): str(self.ca_file),
        }


def for_java(certificate: trustme.LeafCert) -> bytes:
    """Return a key and its certificates; Java reads keys as PKCS#8 alone."""
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    chain = [one.bytes() for one in certificate.cert_chain_pems]
    return b"".join([key.private_bytes(pem, pkcs8, serialization.NoEncryption()), *chain])


class Decision(NamedTuple):
    """What the authorizer decided once."""

    user: str
    is_allowed: bool
    right: str
    """As a right is written; of the cluster, its operation."""


def decisions(kafka: GuardedKafka) -> set[Decision]:
    """Return all that the authorizer has decided about users until now."""
    found = set()
    for line in (kafka.home / "authorizer.log").read_text().splitlines():
        said = DECISION.match(line)
        assert said is not None, line
        operation = said["operation"].title().replace("_", "")
        kind = KIND_OF.get(said["kind"], said["kind"])
        found.add(
            Decision(said["user"], said["verdict"] == "Allowed", f"{operation} on {kind} {said['name']}")
        )
    return {one for one in found if one.user not in ("ANONYMOUS", "CN=tests")}


def guarded_kafka(users_port: int, certs_port: int) -> type[GuardedKafka]:
    """Return the class of a broker with these ports."""
    return type("GuardedKafka", (GuardedKafka,), {"ports": Ports(users_port, certs_port)})


def password_of(user: str) -> str:
    return f"the-password-of-{user}"


async def make_users(bootstrap: str, users: Iterable[str]) -> None:
    """Make users as `kafka-configs --alter --entity-type users` does. Raises KafkaError."""
    salted: list[tuple[str, int, int, bytes, bytes, dict[int, bytes]]] = []
    for user in users:
        salt = os.urandom(16)
        digest = pbkdf2_hmac("sha512", password_of(user).encode(), salt, ITERATIONS)
        salted.append((user, SCRAM_SHA_512, ITERATIONS, salt, digest, {}))
    async with _admin(bootstrap) as client:
        answer = await client._send_request(_AlterUsers(salted))
    for _, code, message, _ in answer.results:
        if code:
            raise for_code(code)(message)


async def allow(bootstrap: str, rights: Iterable[tuple[str, Right]]) -> None:
    """Give users rights, by the users' names. Raises KafkaError."""
    rules = [
        (
            KINDS[right.kind],
            right.name,
            PREFIXED if right.is_prefix else LITERAL,
            f"User:{user}",
            EVERY_HOST,
            int(right.operation),
            ALLOW,
        )
        for user, right in rights
    ]
    async with _admin(bootstrap) as client:
        answer = await client._send_request(_CreateRules(rules))
    for code, message in answer.creation_responses:
        if code:
            raise for_code(code)(message)


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


class _CreateRules(Request[CreateAclsRequest_v1]):  # type: ignore[misc]
    """CreateAcls with many rules; the client's own request has one."""

    API_KEY = 30

    def __init__(self, rules: list[tuple[int, str, int, str, str, int, int]]) -> None:
        self._rules = rules

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(self._rules)


class _AlterUsersResponse(Response):  # type: ignore[misc]
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterUsersRequest(RequestStruct):  # type: ignore[misc]
    """AlterUserScramCredentials, version 0."""

    API_KEY = 51
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _AlterUsersResponse
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterUsers(Request[_AlterUsersRequest]):  # type: ignore[misc]
    API_KEY = 51

    def __init__(self, salted: list[tuple[str, int, int, bytes, bytes, dict[int, bytes]]]) -> None:
        self._salted = salted

    def build(self, request_struct_class: type[_AlterUsersRequest]) -> _AlterUsersRequest:
        return request_struct_class([], self._salted, {})
