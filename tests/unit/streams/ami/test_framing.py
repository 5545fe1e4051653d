"""Laws of the framing: every byte comes out once, however the stream is chunked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.ami.packet import Packet
from tally.streams.ami.errors import NotAmi
from tally.streams.ami.framing import MAX_PACKET_BYTES, Frame, Framer, read_frame
from tests.support.ami_server import BANNER, SAMPLES

RECORDINGS = sorted(path.stem for path in SAMPLES.glob("ast22__*.ami"))
FOLLOWS = b"Response: Follows\r\nPrivilege: Command\r\nActionID: c1\r\n"
SMALL = 100
PIECES = st.sampled_from(
    [
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\r\n\r\n",
        b"A: b",
        b"Event: X\r\n",
        b":",
        b"\xff\x00",
        b"x" * 30,
        FOLLOWS,
        b"--END COMMAND--",
    ]
)


def framed(stream: bytes, size: int = 1 << 20, max_packet_bytes: int = MAX_PACKET_BYTES) -> list[Frame]:
    framer = Framer(max_packet_bytes)
    return [
        frame for first in range(0, len(stream), size) for frame in framer.feed(stream[first : first + size])
    ]


@pytest.mark.parametrize("recording", RECORDINGS)
def test_the_packets_of_a_recording_come_out_byte_for_byte(recording: str) -> None:
    stream = (SAMPLES / f"{recording}.ami").read_bytes()

    frames = framed(stream)

    assert BANNER + b"".join(frame.raw + b"\r\n" for frame in frames) == stream
    assert all(frame.whole and isinstance(read_frame(frame), Packet) for frame in frames)


def test_the_frames_are_the_same_wherever_the_stream_is_split() -> None:
    stream = (SAMPLES / "ast22__proto-session.ami").read_bytes()
    expected = framed(stream)

    for position in range(len(stream)):
        framer = Framer()
        assert framer.feed(stream[:position]) + framer.feed(stream[position:]) == expected
    assert framed(stream, size=1) == expected


@given(pieces=st.lists(PIECES, max_size=30), size=st.integers(1, 40))
def test_the_frames_of_malformed_bytes_are_the_same_however_the_stream_is_split(
    pieces: list[bytes], size: int
) -> None:
    stream = BANNER + b"".join(pieces)

    assert framed(stream, size, SMALL) == framed(stream, max_packet_bytes=SMALL)


@given(noise=st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=30).map(b"".join)))
def test_after_any_malformed_bytes_the_next_packet_is_read_again(noise: bytes) -> None:
    good = b"Event: Good\r\nKey: v\r\n"

    frames = framed(BANNER + noise + b"\r\n\r\n--END COMMAND--\r\n\r\n" + good + b"\r\n", 7, SMALL)

    assert frames[-1] == Frame(good)
    assert all(len(frame.raw) <= SMALL + 1 for frame in frames)


@given(pieces=st.lists(PIECES, max_size=30))
def test_no_byte_is_lost_but_line_ends_between_packets(pieces: list[bytes]) -> None:
    stream = b"".join(pieces) + b"\n\n--END COMMAND--\n\n"

    kept = b"".join(frame.raw for frame in framed(BANNER + stream, max_packet_bytes=SMALL))

    assert kept.translate(None, b"\r\n") == stream.translate(None, b"\r\n")


def test_lines_may_end_in_lf_alone() -> None:
    assert framed(BANNER + b"Event: A\nKey: v\n\nEvent: B\n\n") == [
        Frame(b"Event: A\nKey: v\n"),
        Frame(b"Event: B\n"),
    ]


def test_the_output_of_a_command_of_old_versions_is_one_response_whatever_it_holds() -> None:
    command = FOLLOWS + b"Channel  Location\nEvent: none of ours\n\nno colon here\n--END COMMAND--\r\n"

    frames = framed(BANNER + command + b"\r\nEvent: A\r\n\r\n")

    assert frames == [Frame(command), Frame(b"Event: A\r\n")]
    read = read_frame(frames[0])
    assert isinstance(read, Packet)
    assert "event" not in read


def test_a_packet_that_is_too_large_comes_in_pieces_and_the_next_one_is_whole() -> None:
    large = b"Event: A\r\nData: " + b"x" * (3 * MAX_PACKET_BYTES) + b"\r\n"

    *pieces, last = framed(BANNER + large + b"\r\nEvent: B\r\n\r\n", 1000)

    assert b"".join(piece.raw for piece in pieces) == large
    assert {read_frame(piece) for piece in pieces} == {"too_large"}
    assert last == Frame(b"Event: B\r\n")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"no field\r\n", "no_fields"),
        (b"Event: A\r\nno field\r\n", "no_fields"),
        (b"A: b\r\n" * 1001, "no_fields"),
        (b"Key: v\r\n", "no_event"),
    ],
)
def test_what_is_neither_an_event_nor_a_response_is_malformed(raw: bytes, reason: str) -> None:
    assert read_frame(Frame(raw)) == reason


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n", b"x" * 5000, b"\x16\x03\x01\n"])
def test_a_server_with_another_greeting_is_not_read(greeting: bytes) -> None:
    with pytest.raises(NotAmi):
        framed(greeting, 11)
