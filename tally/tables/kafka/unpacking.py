"""Decompression of batches, never to more bytes than a bound.

aiokafka unpacks a whole batch to any size: 261 KB of gzip became 256 MiB in each worker. Here memory grows
with the output, and unpacking stops at the bound.
"""

import struct
import zlib
from collections.abc import Callable, Mapping

import cramjam

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
"""Codecs, as numbered in a batch's attributes."""

USUAL_RATIO = 16
"""The first buffer is this many times the packed size: ordinary JSON events shrink to a tenth. Clearing a
buffer of the whole bound for each small batch would cost milliseconds."""
FULL = "failed to write whole buffer"
"""cramjam's message for a buffer that is too small, and for nothing else."""
XERIAL = b"\x82SNAPPY\x00"
XERIAL_HEADER_BYTES = 16
"""The magic, and two versions of four bytes."""


class TooLarge(Exception):
    """The batch would unpack to more than the bound."""


class Unpackable(Exception):
    """The batch is not what its codec writes."""


def unpack(codec: int, packed: memoryview, most_bytes: int) -> bytes:
    """Unpack the records of a batch. Raises TooLarge, Unpackable. Pure."""
    try:
        decode = DECODERS[codec]
    except KeyError:
        raise Unpackable(f"no codec {codec}") from None
    return decode(packed, most_bytes)


def _gzip(packed: memoryview, most_bytes: int) -> bytes:
    parts: list[bytes] = []
    left, rest = most_bytes, bytes(packed)
    while rest:
        member = zlib.decompressobj(wbits=31)
        try:
            # One byte beyond the bound shows that there is more.
            parts.append(member.decompress(rest, left + 1))
        except zlib.error as error:
            raise Unpackable(str(error)) from None
        left -= len(parts[-1])
        if left < 0:
            raise TooLarge
        if not member.eof:
            raise Unpackable("gzip ends too early")
        rest = member.unused_data
    return b"".join(parts)


def _lz4(packed: memoryview, most_bytes: int) -> bytes:
    return _into(cramjam.lz4.decompress_into, packed, most_bytes)


def _zstd(packed: memoryview, most_bytes: int) -> bytes:
    return _into(cramjam.zstd.decompress_into, packed, most_bytes)


def _into(decode: Callable[[bytes, bytearray], int], packed: memoryview, most_bytes: int) -> bytes:
    """Unpack into a buffer that grows up to the bound."""
    data, size = bytes(packed), min(len(packed) * USUAL_RATIO, most_bytes)
    while True:
        buffer = bytearray(size)
        try:
            return bytes(memoryview(buffer)[: decode(data, buffer)])
        except cramjam.DecompressionError as error:
            if FULL not in str(error):
                raise Unpackable(str(error)) from None
        if size >= most_bytes:
            raise TooLarge
        size = min(size * USUAL_RATIO, most_bytes)


def _snappy(packed: memoryview, most_bytes: int) -> bytes:
    """Unpack Snappy blocks, each of which states its unpacked size."""
    blocks = _blocks(packed) if packed[: len(XERIAL)] == XERIAL else [bytes(packed)]
    try:
        if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > most_bytes:
            raise TooLarge
        return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)
    except cramjam.DecompressionError as error:
        raise Unpackable(str(error)) from None


def _blocks(packed: memoryview) -> list[bytes]:
    """Return the blocks of one or more xerial Snappy streams, as the Java client writes them."""
    blocks, at = [], 0
    while at < len(packed):
        if packed[at : at + len(XERIAL)] == XERIAL:
            at += XERIAL_HEADER_BYTES
            continue
        try:
            (size,) = struct.unpack_from(">i", packed, at)
        except struct.error as error:
            raise Unpackable(str(error)) from None
        at += 4
        if not 0 <= size <= len(packed) - at:
            raise Unpackable(f"a block of {size} bytes")
        blocks.append(bytes(packed[at : at + size]))
        at += size
    return blocks


DECODERS: Mapping[int, Callable[[memoryview, int], bytes]] = {
    GZIP: _gzip,
    SNAPPY: _snappy,
    LZ4: _lz4,
    ZSTD: _zstd,
}
