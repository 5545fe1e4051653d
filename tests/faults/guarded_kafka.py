"""The embedded broker with an authorizer: one listener without login, and one where users log in."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest
from msgspec import Struct

from tally.deploy.local import LocalKafka
from tally.deploy.local.ports import LOOPBACK
from tally.deploy.local.processes import Command
from tests.faults.wired_kafka import value_of

TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID = 2, 3, 4, 5
READ, WRITE, CREATE, DESCRIBE, DESCRIBE_CONFIGS, IDEMPOTENT_WRITE = 3, 4, 5, 8, 10, 12
ANY_OPERATION = 2
LITERAL, PREFIXED = 3, 4
DENY, ALLOW = 2, 3
EVERY_HOST = "*"
CLUSTER_NAME = "kafka-cluster"
"""Kafka's names for these, and the numbers of its protocol."""

GUARDED = r"""
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port},USERS://{host}:{users_port}
advertised.listeners=PLAINTEXT://{host}:{port},USERS://{host}:{users_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,USERS:SASL_PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN
listener.name.users.plain.sasl.jaas.config=\
    org.apache.kafka.common.security.plain.PlainLoginModule required {users};
"""


class GuardedKafka(LocalKafka):
    """A broker with users; clients of the listener without login have all rights."""

    users: ClassVar[tuple[str, ...]] = ()
    """User names; each is also the password."""
    users_port: ClassVar[int] = 0

    @property
    def guarded_bootstrap(self) -> str:
        """`host:port` for users."""
        return f"{LOOPBACK}:{self.users_port}"

    @classmethod
    def _command(cls, home: Path, port: int) -> Command:
        command = super()._command(home, port)
        path = home / "server.properties"
        before = path.read_text(encoding="ascii")
        more = GUARDED.format(
            host=LOOPBACK,
            port=port,
            controller_port=value_of(before, "listeners").rpartition(":")[2],
            users_port=cls.users_port,
            users=" ".join(f'user_{user}="{user}"' for user in cls.users),
        )
        path.write_text(before + more, encoding="ascii")
        return command


def guarded_kafka(users: Sequence[str], users_port: int) -> type[GuardedKafka]:
    """Return the class of a broker with these users."""
    return type("GuardedKafka", (GuardedKafka,), {"users": tuple(users), "users_port": users_port})


class Rule(Struct, frozen=True):
    """One line of an access control list: an operation allowed to a user, or forbidden with DENY."""

    user: str
    kind: int
    name: str
    operation: int
    pattern: int = PREFIXED
    permission: int = ALLOW


async def rule(bootstrap: str, rules: Iterable[Rule]) -> None:
    """Add rules. Raises KafkaError."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        for one in rules:
            whose = f"User:{one.user}", EVERY_HOST
            request = CreateAclsRequest(
                one.kind, one.name, one.pattern, *whose, one.operation, one.permission
            )
            answer = await client._send_request(request)
            for code, message in answer.creation_responses:
                if code:
                    raise for_code(code)(message)
    finally:
        await client.close()
