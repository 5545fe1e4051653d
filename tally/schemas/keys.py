"""Keys: how ids become subject keys, partition keys and parts of row keys, and which partition is theirs."""

import re
from hashlib import sha256
from zlib import crc32

from msgspec import Struct

from tally.schemas.bounds import TEMPLATE

SEPARATOR = "/"


def join_parts(*parts: str) -> bytes:
    """Join key parts with `/`, escaping it inside them, so that different parts never meet in one key."""
    joined = SEPARATOR.join(parts)
    if "%" not in joined and joined.count(SEPARATOR) == len(parts) - 1:
        return joined.encode()
    return SEPARATOR.join([_escape(part) for part in parts]).encode()


def split_parts(key: bytes) -> list[str]:
    """Undo `join_parts`."""
    return [_unescape(part) for part in key.decode().split(SEPARATOR)]


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a partition key: CRC-32 modulo, librdkafka's `consistent` partitioner."""
    return crc32(key) % partitions


def _escape(part: str) -> str:
    if "/" in part or "%" in part:
        return part.replace("%", "%25").replace("/", "%2F")
    return part


def _unescape(part: str) -> str:
    return part.replace("%2F", "/").replace("%25", "%") if "%" in part else part


class Template(Struct, frozen=True, array_like=True, order=True, gc=False):
    """A template's identity, or a voice script's; both names empty for a free-form message."""

    name: str = ""
    language: str = ""


FREE_FORM = Template()
_PREFIX_CHARACTERS = 55
_DIGEST_DIGITS = 32
_LANGUAGE = re.compile("([A-Za-z]{2,3})(_[A-Za-z]{2})?")


def bounded_template(name: str, language: str) -> Template:
    """Return a template's identity: its language as Meta writes it, and longer names short again."""
    return Template(bounded_name(name), bounded_name(_as_meta_writes(language)))


def _as_meta_writes(language: str) -> str:
    """Return a language as Meta's list has it: `pt_BR`, however a producer writes case and hyphen.

    https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates/supported-languages
    """
    written = language.replace("-", "_")
    if (known := _LANGUAGE.fullmatch(written)) is None:
        return written
    return known[1].lower() + (known[2] or "").upper()


def bounded_name(name: str) -> str:
    """Return a name of 256 bytes at most: of a longer one its beginning and a digest of all of it.

    A row's names stand in an index of Postgres, whose entries have 2,704 bytes at most. Cutting the name
    off alone would make one template of two.
    """
    if len(name) * 4 <= TEMPLATE.most or len(written := name.encode()) <= TEMPLATE.most:
        return name
    return f"{name[:_PREFIX_CHARACTERS]}~{sha256(written).hexdigest()[:_DIGEST_DIGITS]}"
