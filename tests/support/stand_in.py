"""`python -m tests.support.stand_in ROLES CHANNEL [CONNECTIONS]`: a process of a worker that counts nothing.

The file BEHAVIOUR says what each does, as a JSON object by roles. Without an entry it serves, and ends when
it is asked to. Each appends its roles to the file ENDED at its end.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

from aiohttp import web

from tally.streams.processes.exposition import report_of
from tally.streams.processes.member import Member
from tally.streams.runtime.health import Verdict
from tally.streams.runtime.metric_set import Metric, MetricSet
from tally.streams.web.serving import WebServer

BEHAVIOUR, ENDED = "behaviour", "ended"


async def serve(roles: str, member: Member, behaviour: str) -> None:
    metrics = MetricSet([Metric("seen_total", "counter", "what was seen")])
    metrics.count("seen_total", 5)
    member.tells(lambda: report_of(metrics.registry), Verdict, lambda: Verdict((f"{roles}: not yet",)))
    serving = []
    if "view" in roles:
        server = WebServer(_app(), lambda _: None)
        await server.prepare()
        serving = [member.serve(server.adopt)]
    if behaviour == "stuck":
        asyncio.get_running_loop().call_later(0.5, time.sleep, 600)
    await asyncio.gather(member.run(), *serving)


def _app() -> web.Application:
    async def said(_: web.Request) -> web.Response:
        return web.Response(text="the view")

    app = web.Application()
    app.router.add_get("/v1/said", said)
    return app


def main() -> None:
    roles, *descriptors = sys.argv[1:]
    folder = Path(os.environ["STAND_IN"])
    behaviour = json.loads((folder / BEHAVIOUR).read_text()).get(roles, "")
    sockets = [socket.socket(fileno=int(one)) for one in descriptors]
    member = Member(sockets[0], sockets[1] if len(sockets) > 1 else None)

    def end(code: int) -> None:
        with (folder / ENDED).open("a") as ended:
            ended.write(f"{roles}\n")
        os._exit(code)

    member.watch_parent(lambda _: end(70))
    signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else lambda *_: end(0))
    if behaviour.startswith("ends with "):
        end(int(behaviour.removeprefix("ends with ")))
    if behaviour == "starts for ever":
        time.sleep(600)
    asyncio.run(serve(roles, member, behaviour))


if __name__ == "__main__":
    main()
