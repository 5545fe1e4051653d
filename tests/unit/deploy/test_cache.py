"""Programs run from the cache were put there by this user, and no other user can change them."""

import os
from pathlib import Path

import pytest

from tally.deploy.local import java
from tally.deploy.local.cache import is_own, own_folder
from tally.deploy.local.errors import ForeignCache
from tally.deploy.local.processes import Command


def test_a_folder_is_closed_to_others_and_one_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache" / "kafka"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert own_folder(folder).stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(ForeignCache, match="XDG_CACHE_HOME"):
        own_folder(folder)


@pytest.mark.parametrize(("mode", "expected"), [(0o600, True), (0o644, True), (0o664, False), (0o606, False)])
def test_a_file_that_others_may_write_is_not_ours(tmp_path: Path, mode: int, expected: bool) -> None:
    path, link = tmp_path / "made", tmp_path / "link"
    assert not is_own(path)
    path.touch()
    path.chmod(mode)
    link.symlink_to(path)
    assert (is_own(path), is_own(link), is_own(tmp_path)) == (expected, False, False)


def test_a_file_of_another_user_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "made"
    path.touch(mode=0o600)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert not is_own(path)


def test_javas_archive_is_made_once_and_again_where_others_could_have_written_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def run_tool(command: Command, **_: object) -> None:
        (target,) = (part for part in command.argv if part.startswith("-XX:SharedArchiveFile="))
        made.append(Path(target.partition("=")[2]))
        made[-1].write_bytes(b"archive")

    monkeypatch.setattr(java, "run_tool", run_tool)
    umask = os.umask(0o002)  # of many a user: files are writable by their group
    try:
        for _ in range(2):
            java.make_archive(tmp_path, lambda _: None)
        assert len(made) == 1
        java.archive_path(tmp_path).chmod(0o666)
        java.archive_path(tmp_path).write_bytes(b"anything")
        java.make_archive(tmp_path, lambda _: None)
    finally:
        os.umask(umask)
    assert len(made) == 2
    assert java.archive_path(tmp_path).read_bytes() == b"archive"
    assert is_own(java.archive_path(tmp_path))
