"""Reasons for the end of a session with a PBX."""


class SessionEnded(Exception):
    """The session has ended; the message says why and holds no secret."""


class NotAmi(SessionEnded):
    """The server does not speak AMI."""

    def __init__(self) -> None:
        super().__init__("what answers there does not speak AMI")


class SessionLost(SessionEnded):
    """The connection has ended, or the PBX no longer answers."""


class BufferFull(SessionEnded):
    """The buffer is full; the collector closes the connection rather than drop single events."""

    def __init__(self) -> None:
        super().__init__("the buffer is full: Kafka takes events too slowly")


class LoginRefused(SessionEnded):
    """The PBX refuses the login, or the secret cannot be read."""
