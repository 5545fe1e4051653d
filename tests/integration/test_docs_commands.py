"""Every command of README, of the first-campaign page and of `tally up` works with keys as it is pasted.

`make up` is `tally up`; ports that others hold are replaced by those that it chose. The commands that run the
tests themselves, or for many minutes, are named here with what runs them.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from msgspec import Struct

pytestmark = [pytest.mark.asyncio, pytest.mark.long, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
STARTED_SECONDS, COMMAND_SECONDS, SEEN_SECONDS = 150.0, 60.0, 90.0
BEGINS_A_COMMAND = re.compile(r"make |\. \.|\.venv/bin/|printf |curl |psql |pkill |tally ")
ELSEWHERE = {
    "make demo": "tests/integration/test_deployment.py and every release run it",
    "make test": "it runs this",
}
PROMISED: dict[str, tuple[str, ...]] = {
    "make up": (),
    ". .tally/env": (),
    "examples/poller.py": (),
    "examples/producer.py": ("175 events are safe",),
    "pkill": (),
    "printf": (),
    "publish --topic": ("1 ",),
    "dead-letters list": ("send-results/", "not_json at $ (expected: JSON)", "1 dead letters: not_json 1"),
    "campaigns | python3": ('"campaign": "my-first"', '"accepted": 50', '"read": 25', '"state": "'),
    "/metrics": ("tally_events_total", "tally_build_info"),
    "tally doctor": ("kafka",),
    "tally watch": ("my-first  sent 50  failed 0",),
    "SELECT * FROM tally.": (" row",),
    "TABLE tally.campaign_stats": ("my-first",),
    "publish ": ("events",),
    "dry_run=1": ('"dry_run":true', '"items":1'),
    "campaigns/0b5e2c1e": ('"campaign": "0b5e2c1e-7f7a-4a59-9d0e-2f3a4b5c6d7e"',),
    "tenants/t1/campaigns": ('"campaigns":[',),
    "campaigns/4001": ('"channel": "voice"',),
    "tenants/7/operators": ('"operators":[',),
    "/health/ready": ('"status":',),
}
"""What the output of a command holds, by the first of these that the command holds; all must be named."""


def blocks(page: str) -> list[list[str]]:
    """Return the lines of each block of a page that has no language."""
    return [found.splitlines() for found in re.findall(r"^```\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]


def commands_of(name: str) -> list[str]:
    """Return the commands of a page, in order, without comments."""
    lines = [line for block in blocks((ROOT / name).read_text()) for line in block]
    return [line.partition("  # ")[0].strip() for line in lines if BEGINS_A_COMMAND.match(line)]


class Up(Struct):
    """A running `tally up`, and the folder in which its user pastes commands."""

    folder: Path
    process: asyncio.subprocess.Process
    printed: list[str]

    @property
    def settings(self) -> dict[str, str]:
        found = re.findall(
            r"^export (\w+)='?([^'\n]*)'?$", (self.folder / ".tally/env").read_text(), re.MULTILINE
        )
        return dict(found)

    def here(self, command: str) -> str:
        """Return a command with the addresses that are free on this machine."""
        settings = self.settings
        for default, name in (("6066", "WEB_PORT"), ("6065", "METRICS_PORT")):
            command = command.replace(f"127.0.0.1:{default}", f"127.0.0.1:{settings[f'TALLY_{name}']}")
        return command.replace("127.0.0.1:19092", settings["TALLY_KAFKA_BOOTSTRAP"])

    async def run(self, command: str) -> tuple[int, str]:
        """Run a command as another terminal does that has read `.tally/env`."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-o", "pipefail", "-c", f". .tally/env; {self.here(command)}"),
            cwd=self.folder,
            env=clean(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                printed, _ = await process.communicate()
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert process.returncode is not None
        return process.returncode, printed.decode()

    async def works(self, command: str) -> None:
        """Run a command until it prints what is promised of it: events take a moment to be counted."""
        promised = next((said for part, said in PROMISED.items() if part in command), None)
        assert promised is not None, f"say in PROMISED what this command prints: {command}"
        async with asyncio.timeout(SEEN_SECONDS):
            while True:
                goes_on = "tally watch" in command
                status, printed = await self.run(f"timeout --signal=INT 12 {command}" if goes_on else command)
                if (goes_on or status == 0) and all(part in printed for part in promised):
                    return
                assert "examples/producer.py" not in command, printed
                self.printed.append(f"$ {command}\n{status}: {printed[-2000:]}")
                await asyncio.sleep(0.5)

    def workers(self, pattern: str) -> list[int]:
        """Return the processes below this one that `pkill -f` with a pattern ends."""
        found = []
        for pid in descendants(self.process.pid):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if re.search(pattern, command):
                found.append(pid)
        return found


def descendants(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def clean() -> dict[str, str]:
    """Return an environment in which nothing of Tally is set, with our psql behind the machine's own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}


@asynccontextmanager
async def up(folder: Path) -> AsyncIterator[Up]:
    """Run `tally up` in a folder that looks like the project's."""
    for name in ("examples", "tally"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    process = await asyncio.create_subprocess_exec(
        str(folder / ".venv/bin/tally"),
        "up",
        cwd=folder,
        env=clean(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Up(folder, process, [])
    assert process.stdout is not None
    try:
        async with asyncio.timeout(STARTED_SECONDS):
            async for line in process.stdout:
                running.printed.append(line.decode().rstrip("\n"))
                if b"Ctrl-C stops everything" in line:
                    break
        reading = asyncio.create_task(process.stdout.read())
        assert process.returncode is None, running.printed
        yield running
    except BaseException:
        print("\n".join(running.printed[-40:]))  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(60):
                await process.wait()
        await reading


async def test_the_readme_has_only_commands_that_are_run_somewhere() -> None:
    assert commands_of("README.md") == [
        *ELSEWHERE,
    ]
    assert "\t@$(BIN)/tally up\n" in (ROOT / "Makefile").read_text(), "`make up` is `tally up`"


async def test_each_command_of_the_first_campaign_and_of_up_works_when_pasted(tmp_path: Path) -> None:
    page = commands_of("docs/first-campaign.md")
    assert page[:2] == ["make up", ". .tally/env"]
    assert len(page) >= 14
    async with up(tmp_path) as running:
        key = tmp_path / ".tally/key"
        assert key.stat().st_mode & 0o777 == 0o600
        printed = [line.strip() for line in running.printed if line.startswith("  ")]
        assert key.read_text().strip() not in "\n".join(running.printed), "the key is nowhere on the screen"
        poller = None
        for command in page[1:]:
            if "poller.py" in command:
                poller = await asyncio.create_subprocess_exec(
                    *("bash", "-c", f". .tally/env; exec {running.here(command)}"),
                    cwd=tmp_path,
                    env=clean(),
                    stdout=asyncio.subprocess.PIPE,
                )
                assert poller.stdout is not None
                async with asyncio.timeout(SEEN_SECONDS):
                    first = await poller.stdout.readline()
                assert first == b"nothing is counted for this campaign yet\n"
            elif command.startswith("pkill"):
                (pattern,) = re.findall(r'^pkill -9 -f "(.+)"$', command)
                before = running.workers(pattern)
                assert before, "it ends the worker"
                for pid in before:  # and not the workers of others on this machine
                    os.kill(pid, signal.SIGKILL)
                async with asyncio.timeout(SEEN_SECONDS):
                    while not set(running.workers(pattern)) - set(before):
                        await asyncio.sleep(0.1)
            else:
                await running.works(command)
        assert poller is not None
        assert poller.stdout is not None
        with suppress(ProcessLookupError):  # it ends by itself after a minute
            poller.terminate()
        said = (await poller.stdout.read()).decode().splitlines()
        await poller.wait()
        assert any(
            line.startswith("accepted 50, sent 50, delivered 50, read 25, failed 0 (every") for line in said
        )

        statements = [line for block in blocks((ROOT / "README.md").read_text()) for line in block]
        for statement in (line for line in statements if line.startswith("SELECT ")):
            asked = statement.replace("= …", "= 'example'")
            await running.works(f'psql "$TALLY_POSTGRES_DSN" -c "{asked}"')
        assert len(printed) >= 12
        for command in printed:
            await running.works(command)
