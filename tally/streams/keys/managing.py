"""Adds, lists, revokes and rotates keys in the topic `api-keys`."""

import asyncio
import secrets
from contextlib import suppress

from msgspec import structs

from tally.schemas.topics import API_KEYS
from tally.streams.keys.key import (
    ID_BYTES,
    SECRET_BYTES,
    BadKey,
    Key,
    Presented,
    Scope,
    digest_of,
    encode,
    revoked,
)
from tally.streams.keys.keyring import Keyring
from tally.streams.operations import topics
from tally.streams.settings import Settings
from tally.tables.kafka.read_to_end import read_to_end

DEADLINE_SECONDS = 30.0


class NoSuchKey(Exception):
    """There is no such key, or it opens nothing any more."""


async def all_keys(settings: Settings) -> Keyring:
    """Return every key, also those that open nothing any more. Raises KafkaError, TimeoutError."""
    keyring = Keyring()
    declared = await topics.declare(settings, only={settings.names.raw(API_KEYS)})
    if declared.created:
        return keyring
    async for record in read_to_end(settings.kafka, [settings.names.raw(API_KEYS)], DEADLINE_SECONDS):
        with suppress(BadKey):  # the keyring notes it, and a log line would stand between the lines of a list
            keyring.note(record)
    return keyring


async def add(
    settings: Settings,
    scopes: tuple[Scope, ...],
    tenants: tuple[str, ...],
    now_ms: int,
    *,
    expires_at_ms: int | None = None,
    comment: str = "",
) -> Presented:
    """Make a key and return it; nobody can show it again. Raises KafkaError, TimeoutError, TopicsError."""
    made = new_key()
    key = Key(digest_of(made.secret), scopes, tenants, now_ms, expires_at_ms, comment=comment)
    await topics.declare(settings, only={settings.names.raw(API_KEYS)})
    await publish(settings, made.key_id, key)
    return made


async def revoke(settings: Settings, key_id: str, now_ms: int) -> None:
    """Let a key open nothing from now on. Raises NoSuchKey, KafkaError, TimeoutError.

    Its record stays: a process that did not hear of a removal for long would never learn of it. One that this
    version cannot read is revoked too, since a newer version may read it.
    """
    known = await all_keys(settings)
    if key_id in known.closed:
        key = revoked(now_ms)
    else:
        key = structs.replace(_active(known, key_id, now_ms), revoked_at_ms=now_ms)
    await publish(settings, key_id, key)


async def rotate(settings: Settings, key_id: str, now_ms: int, grace_ms: int) -> Presented:
    """Make a key for the same, and let the former one expire after the grace.

    Raises NoSuchKey, KafkaError, TimeoutError.
    """
    key = _active(await all_keys(settings), key_id, now_ms)
    made = await add(
        settings, key.scopes, key.tenants, now_ms, expires_at_ms=key.expires_at_ms, comment=key.comment
    )
    ends = [now_ms + grace_ms, *([] if key.expires_at_ms is None else [key.expires_at_ms])]
    await publish(settings, key_id, structs.replace(key, expires_at_ms=min(ends)))
    return made


def new_key() -> Presented:
    """Return a new key, which opens nothing until it is added."""
    return Presented(secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES))


def _active(known: Keyring, key_id: str, now_ms: int) -> Key:
    if key_id in known.closed:
        raise NoSuchKey(f"this version cannot read that key: {known.closed[key_id]}")
    key = known.keys.get(key_id)
    if key is None or key.state(now_ms) != "active":
        raise NoSuchKey("there is no such key, or it opens nothing any more: `tally keys list`")
    return key


async def publish(settings: Settings, key_id: str, key: Key) -> None:
    """Put a key into the topic, as it is from now on. Raises KafkaError, TimeoutError."""
    producer = settings.kafka.producer()
    async with asyncio.timeout(DEADLINE_SECONDS):
        try:
            await producer.start()
            await producer.send_and_wait(
                settings.names.raw(API_KEYS), encode(key), key_id.encode(), partition=0
            )
        finally:
            await producer.stop()
