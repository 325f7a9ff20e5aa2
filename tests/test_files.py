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


def test_a_file_is_synced_where_that_takes_the_right_to_write(tmp_path, synced):
    with files.atomic(tmp_path / "a") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a").read_text() == "whole"
    assert synced == [True, False]  # the file, then the folder that has its new name
