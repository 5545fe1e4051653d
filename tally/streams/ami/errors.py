"""Why a session with a PBX ends."""


class SessionEnded(Exception):
    """The session is over; the message says why and holds no secret."""


class NotAmi(SessionEnded):
    """What answers there does not speak AMI."""

    def __init__(self) -> None:
        super().__init__("what answers there does not speak AMI")


class SessionLost(SessionEnded):
    """The connection ended, or the PBX no longer answers."""


class BufferFull(SessionEnded):
    """More waits for Kafka than the buffer holds: the connection is closed rather than events dropped."""

    def __init__(self) -> None:
        super().__init__("the buffer is full: Kafka takes events too slowly")


class LoginRefused(SessionEnded):
    """The PBX does not let us in, or the secret cannot be read."""
