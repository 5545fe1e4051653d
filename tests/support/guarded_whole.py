"""A whole deployment on brokers with TLS, logins and rights: each process has its own rights alone."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tally.deploy import migrate
from tally.simulator.records import RawRecord
from tally.streams.dev.free_port import free_port
from tally.streams.dev.publisher import Publisher
from tally.streams.operations.rights_needed import Right, rights_of
from tally.streams.settings import Settings, load, variable
from tests.support.ami_server import SECRET as AMI_SECRET
from tests.support.ami_server import AmiServer, Plan, ami_server, events
from tests.support.gateway import Gateway, gateway
from tests.support.guarded_kafka import GuardedKafka, allow, guarded_kafka, make_users
from tests.support.keys import SHOWN, answers_of, put_key
from tests.support.workers import WorkerProcess, environment_of, said, tally_process

PREFIX = "w-"
BURST = events("ast22__campaign-burst-10")
READY_SECONDS = 150.0
"""For as many workers as there are roles, on as few cores as there may be."""
POSTED = {
    "campaigns": [{"tenant": "t1", "campaign": "c1", "name": "November", "time": 1_795_350_900_000}],
    "send-results": [
        {
            "tenant": "t1",
            "channel": "whatsapp",
            "campaign": "c1",
            "contact": {"id": "1", "wa_id": "15550000001"},
            "outcome": "accepted",
            "template": {"name": "promo", "language": "en"},
            "phone_number_id": "100",
            "message_id": "wamid.1",
            "time": 1_795_350_900_000,
        }
    ],
}
"""What a producer without a Kafka client posts."""
ROLES = ("route", "fold", "sink", "view")


def user_of(who: Sequence[str]) -> str:
    """Return the user of a process: what it does, as one word."""
    return "-".join(who).replace(" --", "-").replace(" ", "-")


class Guarded:
    """The brokers, and the environments of processes by what they do."""

    def __init__(self, kafka: GuardedKafka, dsn: str, prefix: str = PREFIX) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.direct = environment_of(kafka.bootstrap, dsn, prefix, partitions="1")
        """For tests, which may do everything."""

    @property
    def settings(self) -> Settings:
        """Settings with which tests do everything."""
        return load(self.direct)

    def as_user(self, user: str) -> dict[str, str]:
        """Return the environment of a process that logs in as a user."""
        return self.direct | self.kafka.login(user)

    async def admit(self, *whos: Sequence[str]) -> None:
        """Make a user for each, with the rights of what it does and no other."""
        await make_users(self.kafka.bootstrap, map(user_of, whos))
        rights: list[tuple[str, Right]] = [
            (user_of(who), right) for who in whos for right in rights_of(who, self.settings.names)
        ]
        await allow(self.kafka.bootstrap, rights)

    async def says(self, log: Path, who: str, *arguments: str) -> str:
        """Run a command as the user of `who`; return what it says. Fails the test if it fails."""
        code, printed = await said(self.as_user(user_of([who])), log, *arguments)
        assert code == 0, f"tally {' '.join(arguments)}: {printed}"
        return printed


class Running:
    """The processes of a whole deployment."""

    def __init__(self, workers: list[WorkerProcess], door: Gateway, pbx: AmiServer) -> None:
        self.workers = workers
        self.door = door
        self.pbx = pbx

    @property
    def view(self) -> WorkerProcess:
        """The worker that answers."""
        return self._with("view")

    @property
    def fold(self) -> WorkerProcess:
        """The worker that counts."""
        return self._with("fold")

    def _with(self, role: str) -> WorkerProcess:
        return next(one for one in self.workers if role in one.settings.roles)


@asynccontextmanager
async def whole(
    guarded: Guarded, folder: Path, processes: Iterable[Sequence[str]] = (ROLES,)
) -> AsyncIterator[Running]:
    """Run workers of these roles, a gateway, and a collector of a PBX; all of them are ready."""
    dsn = guarded.settings.postgres_dsn.get_secret_value()
    await asyncio.to_thread(migrate.up, dsn)
    await put_key(guarded.settings)
    async with AsyncExitStack() as closing:
        workers = []
        for roles in processes:
            own = guarded.as_user(user_of(roles)) | {variable("roles"): ",".join(roles)}
            workers.append(WorkerProcess(own, folder, user_of(roles)))
            closing.callback(workers[-1].kill)
            workers[-1].start()
        server = await closing.enter_async_context(ami_server(Plan(BURST)))
        pbxs = json.dumps(
            [
                {
                    "name": "pbx-live",
                    "host": "127.0.0.1",
                    "port": server.port,
                    "username": "dialer",
                    "secret": AMI_SECRET,
                    "tenant": "t1",
                }
            ]
        )
        collector = guarded.as_user("ami") | {variable("ami_pbxs"): pbxs}
        await closing.enter_async_context(tally_process(collector, folder / "ami.log", "ami"))
        door = await closing.enter_async_context(gateway(guarded.as_user("gateway"), folder / "gateway.log"))
        running = Running(workers, door, server)
        async with answers_of(running.view) as answers:
            await answers.wait_until_ready(READY_SECONDS)
        await running.view.ready()
        await door.ready()
        yield running


async def publish_through_doors(guarded: Guarded, running: Running, records: Sequence[RawRecord]) -> None:
    """Publish webhooks through the gateway, the rest as a producer, and something of each kind over HTTP."""

    async def post(body: bytes) -> None:
        assert (await running.door.post(body)).status == 200

    producer = load(guarded.as_user("publish"))
    async with Publisher(producer, post) as publisher:
        await publisher.publish(records, lambda _: None)
    url = f"{running.door.url}/v1/tenants/t1"
    headers = SHOWN | {"Content-Type": "application/json"}
    for topic, body in POSTED.items():
        async with running.door.http.post(
            f"{url}/{topic}", data=json.dumps(body), headers=headers
        ) as response:
            assert response.status == 200, await response.text()


@asynccontextmanager
async def guarded_brokers(folder: Path) -> AsyncIterator[GuardedKafka]:
    made = guarded_kafka(free_port(0), free_port(0))
    kafka = await asyncio.to_thread(made.start, folder / "servers", 0)
    assert isinstance(kafka, GuardedKafka)
    try:
        yield kafka
    finally:
        await asyncio.to_thread(kafka.stop)
