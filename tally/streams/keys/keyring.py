"""The keys that a process knows, as the topic `api-keys` says."""

from collections.abc import Mapping
from typing import Any

import structlog

from tally.schemas.topics import API_KEYS
from tally.streams.keys.key import BadKey, Key, decode
from tally.streams.operations.following import Follower
from tally.streams.settings import Settings

WANTED = "a record of `tally keys`, of this version or an older one"

log = structlog.get_logger()


class Keyring:
    """All keys by id. Until the topic was read once nobody can be told that a key is wrong."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self.closed: dict[str, str] = {}
        """Why the newest record of a key cannot be read, by id: such a key opens nothing here."""
        self.is_known = False

    @property
    def keys(self) -> Mapping[str, Key]:
        """The keys by id."""
        return self._keys

    def apply(self, record: Any) -> None:
        """Apply one record of the topic; log one that cannot be read."""
        try:
            self.note(record)
        except BadKey as error:
            log.warning("no key", offset=record.offset, key_id=error.key_id, wanted=WANTED, error=str(error))

    def note(self, record: Any) -> None:
        """Note one record of the topic. Raises BadKey if it cannot be read.

        Its key is closed then, and no other: it may be a revocation, or a restriction that a newer version
        knows.
        """
        try:
            key_id, key = decode(record.key, record.value)
        except BadKey as error:
            if error.key_id is not None:
                self._keys.pop(error.key_id, None)
                self.closed[error.key_id] = str(error)
            raise
        self.put(key_id, key)

    def put(self, key_id: str, key: Key | None) -> None:
        """Set a key, or remove it."""
        self.closed.pop(key_id, None)
        if key is None:
            self._keys.pop(key_id, None)
        else:
            self._keys[key_id] = key

    def known(self) -> None:
        """Note that all that the topic held was read."""
        self.is_known = True


def keys_follower(settings: Settings, keyring: Keyring) -> Follower:
    """Return what keeps a keyring as the topic says; while Kafka is away the keys known last hold."""
    return Follower(settings.kafka, settings.names.raw(API_KEYS), keyring.apply, keyring.known)
