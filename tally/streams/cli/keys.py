"""`tally keys`: the keys of the HTTP interfaces."""

import asyncio
import re
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from aiokafka.errors import KafkaError

from tally.agents.clock import unix_ms
from tally.schemas.errors import BadEvent
from tally.schemas.fields import producer_id
from tally.streams.cli.output import Json, console, fail, in_words, print_json, print_table
from tally.streams.keys import managing
from tally.streams.keys.key import ALL_TENANTS, SCOPES, Key, Presented, Scope
from tally.streams.operations.topics import TopicsError
from tally.streams.settings import load

app = typer.Typer(help="The keys of the read API and the gateway.", no_args_is_help=True)

UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
LONGEST_COMMENT = 200
UNREADABLE = "unreadable"
"""State of a key whose record this version cannot read: a newer one may."""

KeyId = Annotated[str, typer.Argument(help="the id: the 12 characters behind tally_")]
Found = TypeVar("Found")


def _asked(question: Coroutine[Any, Any, Found]) -> Found:
    try:
        return asyncio.run(question)
    except managing.NoSuchKey as error:
        fail(str(error))
    except (KafkaError, TimeoutError, TopicsError) as error:
        fail(in_words(error))


@app.command("add")
def add(
    scopes: Annotated[str, typer.Option("--scopes", help="of read, recipients, ingest, admin")] = "read",
    tenants: Annotated[str, typer.Option("--tenants", help="separated by commas; * for all")] = "",
    expires: Annotated[str, typer.Option(help="in how long: 90d, 12h, 30m; without, never")] = "",
    comment: Annotated[str, typer.Option(help="who has it, and what for")] = "",
) -> None:
    """Make a key and print it once; only its digest is kept. In force everywhere within two seconds."""
    now_ms = unix_ms()
    made = _asked(
        managing.add(
            load(),
            _scopes(scopes),
            _tenants(tenants),
            now_ms,
            expires_at_ms=now_ms + _duration_ms(expires) if expires else None,
            comment=_comment(comment),
        )
    )
    _show(made)


@app.command("revoke")
def revoke(key_id: KeyId) -> None:
    """Let a key open nothing any more, everywhere within two seconds."""
    _asked(managing.revoke(load(), key_id, unix_ms()))
    console.print(f"{key_id} opens nothing any more", highlight=False)


@app.command("rotate")
def rotate(
    key_id: KeyId,
    grace: Annotated[str, typer.Option(help="how long the former key goes on: 24h, 30m, 0m")] = "24h",
) -> None:
    """Make a key for the same tenants and scopes and print it once; the former one expires."""
    _show(_asked(managing.rotate(load(), key_id, unix_ms(), _duration_ms(grace))))


@app.command("list")
def list_keys(json: Json = False) -> None:
    """List all keys, without their secrets."""
    now_ms = unix_ms()
    known = _asked(managing.all_keys(load()))
    found = sorted(known.keys.items(), key=lambda one: one[1].created_at_ms)
    if json:
        print_json(
            [_as_json(key_id, key, now_ms) for key_id, key in found]
            + [{"id": key_id, "state": UNREADABLE, "why": why} for key_id, why in known.closed.items()]
        )
        return
    print_table(
        ("id", "state", "scopes", "tenants", "created", "expires", "comment"),
        [_row(key_id, key, now_ms) for key_id, key in found]
        + [(key_id, UNREADABLE, "-", "-", "", "", why) for key_id, why in known.closed.items()],
    )


def _as_json(key_id: str, key: Key, now_ms: int) -> dict[str, Any]:
    return {
        "id": key_id,
        "state": key.state(now_ms),
        "scopes": key.scopes,
        "tenants": key.tenants,
        "created_at": _time(key.created_at_ms),
        "expires_at": _time(key.expires_at_ms),
        "revoked_at": _time(key.revoked_at_ms),
        "comment": key.comment,
    }


def _row(key_id: str, key: Key, now_ms: int) -> tuple[str, ...]:
    ends = _time(key.revoked_at_ms or key.expires_at_ms)
    return (
        *(key_id, key.state(now_ms), ",".join(key.scopes), ",".join(key.tenants)),
        *(_time(key.created_at_ms) or "", ends or "never", key.comment or "-"),
    )


def _show(made: Presented) -> None:
    # Alone on standard output, so that a script can keep it: tally keys add > key.
    console.print(made.text, highlight=False, soft_wrap=True)


def _scopes(text: str) -> tuple[Scope, ...]:
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    if not wanted or not set(wanted) <= set(SCOPES):
        fail(f"--scopes must be of {', '.join(SCOPES)}, separated by commas", code=2)
    return tuple(scope for scope in SCOPES if scope in wanted)


def _tenants(text: str) -> tuple[str, ...]:
    try:
        found = tuple(producer_id(part.strip(), "tenants") for part in text.split(",") if part.strip())
    except BadEvent:
        fail("--tenants must be ids of 1 to 128 characters, separated by commas", code=2)
    if not found:
        fail(f"--tenants must name at least one tenant, or {ALL_TENANTS} for all", code=2)
    return (ALL_TENANTS,) if ALL_TENANTS in found else tuple(dict.fromkeys(found))


def _comment(text: str) -> str:
    if len(text) > LONGEST_COMMENT:
        fail(f"--comment may have {LONGEST_COMMENT} characters", code=2)
    return text


def _duration_ms(text: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([mhd])", text, re.ASCII)
    if found is None:
        fail(f"{text}: expected a whole number and m, h or d, such as 90d", code=2)
    return int(found[1]) * UNITS_MS[found[2]]


def _time(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
