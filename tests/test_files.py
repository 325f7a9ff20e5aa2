"""Files on disk: what is written is synced, on systems that differ in what they sync."""

import errno
import fcntl
import os
import stat

import pytest

from nstjax import files


@pytest.fixture
def synced(monkeypatch):
    """Windows' rule on this system: a file is synced by a descriptor that may write. Yields whether each was a file."""
    was_file, fsync = [], os.fsync

    def strict(descriptor):
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if is_file and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        fsync(descriptor)
        was_file.append(is_file)

    monkeypatch.setattr(os, "fsync", strict)
    return was_file


def test_a_digest_is_of_what_the_file_has_now(tmp_path):
    """Also when it was changed within a tick of the clock."""
    file, digests = tmp_path / "file", set()
    for letter in "abcdefgh":
        file.write_text(letter)
        digests.add(files.sha256(file))
    assert len(digests) == 8


def test_what_is_remembered_of_a_file_is_of_that_file(tmp_path, monkeypatch):
    read = []
    remembered = files.remembered(lambda path: read.append(path) or path.read_text())
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("a")
    other.write_text("b")
    assert remembered(file) == remembered(file) == "a" and len(read) == 2  # just written
    monkeypatch.setattr(files, "_SETTLED_NS", -(10**18))  # as if everything were old
    assert remembered(file) == remembered(file) == "a" and len(read) == 3
    os.replace(other, file)
    assert remembered(file) == "b" and len(read) == 4
    with pytest.raises(FileNotFoundError):
        remembered(other)


def test_a_file_is_synced_where_that_takes_the_right_to_write(tmp_path, synced):
    with files.atomic(tmp_path / "a") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a").read_text() == "whole"
    assert synced == [True, False]  # the file, then the folder that has its new name
