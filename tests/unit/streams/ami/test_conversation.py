"""Laws of the login: how it is done, which events it asks for, and that no secret is ever shown."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tally.schemas.ami.packet import Packet
from tally.streams.ami.buffer import Buffer
from tally.streams.ami.conversation import refusal
from tally.streams.ami.framing import action
from tally.streams.ami.link import LONGEST_SECONDS, REFUSED_SECONDS
from tally.streams.runtime.http import answers, http_app
from tests.support.ami_collector import Collecting, pbx_of
from tests.support.ami_server import SECRET, AmiServer, Plan, ami_server, events
from tests.support.transport import until

SESSION = events("ast22__orig-busy")
OPENSSL = shutil.which("openssl")


async def until_resynchronised(collecting: Collecting) -> None:
    await until(lambda: any(b"QueueStatusComplete" in value for value in collecting.topic.values()))


@pytest.mark.asyncio
@pytest.mark.parametrize("auth", ["plain", "md5"])
async def test_both_logins_let_us_in_and_md5_never_sends_the_secret(auth: str) -> None:
    async with ami_server() as server, Collecting([pbx_of(server, auth=auth)]).running() as collecting:
        await until_resynchronised(collecting)
        assert server.asked("Login")[0]["Events"] == "system,call,agent,user,cdr"
        assert (SECRET in str(server.actions)) == (auth == "plain")


@pytest.mark.asyncio
async def test_filters_are_asked_for_and_one_that_is_refused_is_counted_and_missed_by_nobody() -> None:
    lines = ["!Event: RTCPSent", "!Event: VarSet"]
    async with ami_server() as server, Collecting([pbx_of(server, filters=lines)]).running() as collecting:
        await until_resynchronised(collecting)
        asked = [(action["Operation"], action["Filter"]) for action in server.asked("Filter")]
        assert asked == [("Add", line) for line in lines]
        assert collecting.metric("refused_actions_total") == 0
    async with ami_server(Plan(refused=("Filter", "CoreShowChannels"))) as server:
        pbx = pbx_of(server, filters=lines).model_copy(update={"resync_seconds": 0.01})
        async with Collecting([pbx]).running() as collecting:
            await until_resynchronised(collecting)
            await until(lambda: collecting.metric("refused_actions_total") == 4)
            await asyncio.sleep(0.05)
            assert len(server.asked("CoreShowChannels")) == 2
            assert collecting.metric("connected") == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("auth", ["plain", "md5"])
async def test_a_wrong_password_is_counted_and_tried_again_slowly(
    auth: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        ami_server(secret="another") as server,  # noqa: S106 - a test's
        Collecting([pbx_of(server, auth=auth)]).running() as collecting,
    ):
        await until(lambda: collecting.metric("login_failures_total") >= 3)
        assert min(collecting.waits.pauses) >= REFUSED_SECONDS / 2
        assert collecting.metric("gaps_total", reason="lost") == 0
    assert "the PBX refuses the login: Authentication failed" in capsys.readouterr().out


@pytest.mark.asyncio
async def test_a_secret_is_read_from_its_file_at_each_login(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    async with ami_server() as server:
        pbx = pbx_of(server, secret="", secret_file=path)
        async with Collecting([pbx]).running() as collecting:
            await until(lambda: collecting.metric("login_failures_total") >= 2)
            path.write_text(f"{SECRET}\n")
            await until_resynchronised(collecting)


@pytest.mark.asyncio
async def test_waits_between_tries_double_and_end_at_the_longest() -> None:
    async with ami_server() as server:
        pbx = pbx_of(server, port=1)
        async with Collecting([pbx]).running() as collecting:
            await until(lambda: len(collecting.waits.pauses) >= 10)
    assert collecting.waits.pauses[:10] == [
        0.5 * longest for longest in (0.5, 1, 2, 4, 8, 16, LONGEST_SECONDS, LONGEST_SECONDS, 30, 30)
    ]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, in one file."""
    if OPENSSL is None:
        pytest.skip("needs the openssl command")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    certificate = path.with_suffix(".crt")
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=pbx01"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(  # noqa: S603 - our own words
        [OPENSSL, *options.split(), *names, "-keyout", str(path), "-out", str(certificate)],
        check=True,
        capture_output=True,
        timeout=30,
    )
    path.write_bytes(path.read_bytes() + certificate.read_bytes())
    return path


def encrypted(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.asyncio
@pytest.mark.parametrize("known", ["by its CA", "unverified"])
async def test_a_session_may_be_encrypted(certificate: Path, known: str) -> None:
    async with ami_server(Plan(SESSION), tls=encrypted(certificate)) as server:
        trust = {"ca_file": certificate} if known == "by its CA" else {"verify": False}
        async with Collecting([pbx_of(server, tls=True, **trust)]).running() as collecting:
            await until_resynchronised(collecting)
            assert collecting.topic.values() == server.sent
        await until(lambda: len(server.asked("Logoff")) == 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("trust", [{}, {"ca_file": "missing.pem"}])
async def test_a_certificate_that_nobody_vouches_for_never_gets_the_secret(
    certificate: Path, trust: dict[str, str]
) -> None:
    async with ami_server(tls=encrypted(certificate)) as server:
        async with Collecting([pbx_of(server, tls=True, **trust)]).running() as collecting:
            await until(lambda: collecting.metric("reconnects_total") >= 2)
        assert server.actions == []


class Broken(Buffer):
    """Fails as our own code might."""

    def put(self, packet: object) -> bool:
        raise RuntimeError(f"bug at {packet!r}")


@pytest.mark.asyncio
async def test_no_secret_is_shown_whatever_goes_wrong(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("DEBUG")

    async def shown(server: AmiServer, *, is_broken: bool = False, **more: object) -> str:
        collecting = Collecting([pbx_of(server, **more)])
        if is_broken:
            monkeypatch.setattr(Buffer, "put", Broken.put)
        async with collecting.running():
            await until(
                lambda: (
                    (collecting.collector.lines[0].observer.is_open and not is_broken)
                    or collecting.metric("reconnects_total") > 1
                )
            )
        everything = (
            collecting.collector.lines,
            collecting.metrics.exposition(""),
            vars(collecting.collector),
        )
        return repr(everything) + str(collecting.collector.lines[0].pbx)

    async with ami_server(Plan(SESSION, is_cut=True)) as good, ami_server(secret="other") as refusing:  # noqa: S106
        texts = [
            await shown(good),
            await shown(good, auth="md5"),
            await shown(refusing),
            await shown(refusing, auth="md5"),
            await shown(good, port=1),
            await shown(good, tls=True),
            await shown(good, is_broken=True),
        ]
    output = capfd.readouterr()
    assert "AMI login refused" in output.out
    assert "code failure at a PBX" in output.out
    assert SECRET not in "".join(texts) + output.out + output.err + caplog.text


def test_a_value_with_a_line_break_is_never_sent_and_never_shown() -> None:
    with pytest.raises(ValueError, match="Secret of Login holds a line break") as raised:
        action("Login", "a", ("Secret", f"{SECRET}\r\nAction: Command"))
    assert SECRET not in str(raised.value)


@pytest.mark.asyncio
async def test_health_and_metrics_are_served() -> None:
    async with ami_server() as server:
        collecting = Collecting([pbx_of(server)])
        app = http_app(collecting.metrics, {"live": answers, "ready": collecting.collector.ready})
        async with TestClient(TestServer(app)) as client:
            ready = await client.get("/health/ready")
            assert (ready.status, await ready.json()) == (
                503,
                {"status": "failing", "reasons": ["pbx01: not logged in"]},
            )
            assert (await client.get("/health/live")).status == 200
            async with collecting.running():
                await until_resynchronised(collecting)
                assert (await client.get("/health/ready")).status == 200
                text = await (await client.get("/metrics")).text()
                assert 'tally_ami_connected{pbx="pbx01"} 1.0' in text
                assert 'tally_ami_gaps_total{pbx="pbx01",reason="buffer_full"} 0.0' in text


def test_a_secret_that_a_pbx_echoes_is_not_shown() -> None:
    answer = Packet([("Response", "Error"), ("Message", "no user with secret hunter2 here")])

    assert refusal(answer, "hunter2") == "no user with secret *** here"
