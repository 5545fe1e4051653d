"""The errors of embedded servers."""

from pathlib import Path


class LocalServerError(Exception):
    """An embedded server cannot be used."""


class UnsupportedPlatform(LocalServerError):
    """The embedded servers cannot run on this platform or under this account."""


class DownloadFailed(LocalServerError):
    """A jar of Kafka could not be downloaded."""


class ChecksumMismatch(LocalServerError):
    """A jar of Kafka is not the file that the lock names."""

    def __init__(self, path: Path, expected: str, actual: str) -> None:
        super().__init__(
            f"{path} has SHA-256 {actual}, but the lock says {expected}: delete the file and start again; "
            "if it comes back the same, do not use it"
        )
        self.path, self.expected, self.actual = path, expected, actual


class ForeignCache(LocalServerError):
    """The cache belongs to another user, who could change the programs in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} belongs to another user: set XDG_CACHE_HOME to a folder of your own")


class PreparationFailed(LocalServerError):
    """A tool that prepares a server's files failed; the message holds its output."""


class PortTaken(LocalServerError):
    """Another program uses the requested port."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(f"port {port} for {name} is taken by another program: choose another port")
        self.port = port


class FolderBusy(LocalServerError):
    """The folder's server is in use and cannot be adopted."""


class ServerDidNotStart(LocalServerError):
    """A server stopped, or was not ready in time; the message holds the end of its log."""

    def __init__(self, name: str, why: str, log_path: Path, log_end: str) -> None:
        super().__init__(f"{name} {why}; the end of {log_path}:\n{log_end}")
        self.log_end = log_end
