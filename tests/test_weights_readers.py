"""HDF5 and MATLAB files from anywhere: damaged ones, and ones that mean harm."""

import struct
import sys
import zlib

import h5py
import numpy as np
import pytest
import scipy.io
from weight_files import cell, only_user_errors

from nstjax.errors import UserError
from nstjax.weights import hdf5_file, matlab_file


def test_hdf5_external_links_are_refused(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.ones(3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["link"] = h5py.ExternalLink("secret.h5", "x")
    with pytest.raises(UserError, match="link is a link to somewhere else"):
        hdf5_file.load(tmp_path / "a.h5")


def test_hdf5_soft_links_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["soft"] = h5py.SoftLink("/x")
    with pytest.raises(UserError, match="soft is a link to somewhere else"):
        hdf5_file.load(tmp_path / "a.h5")


def test_hdf5_external_storage_does_not_leak_other_files(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(range(12)))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (12,), "u1", external=[(str(tmp_path / "secret"), 0, 12)])
    with pytest.raises(UserError, match="x is stored outside the file"):
        hdf5_file.load(tmp_path / "a.h5")


def test_hdf5_virtual_datasets_are_refused(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.ones(3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        virtual = h5py.VirtualLayout((3,), "f8")
        virtual[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (3,))
        file.create_virtual_dataset("x", virtual)
    with pytest.raises(UserError, match="x is stored outside the file"):
        hdf5_file.load(tmp_path / "a.h5")


@pytest.mark.parametrize("options", [{"chunks": (1 << 29,)}, {"compression": "gzip"}, {"scaleoffset": 0}])
def test_hdf5_in_chunks_is_refused(tmp_path, options):
    """Which may be larger than their dataset, unpack to gigabytes, or ask for a plug-in."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (1,), "i4", maxshape=(None,), **options)
    with pytest.raises(UserError, match="x is stored in chunks"):
        hdf5_file.load(tmp_path / "a.h5")


def test_hdf5_that_declares_more_than_it_has_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (1 << 40,), "f4")
    with pytest.raises(UserError, match=f"x declares {4 << 40} bytes and has 0"):
        hdf5_file.load(tmp_path / "a.h5")


def test_hdf5_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_file, "MAX_BYTES", 100)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["y"] = np.ones(10), np.ones(10)
    with pytest.raises(UserError, match="it declares 160 bytes"):
        hdf5_file.load(tmp_path / "a.h5")


def test_hdf5_groups_in_a_circle_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/inner"] = file.create_group("group")
    with pytest.raises(UserError, match="too many groups"):
        hdf5_file.load(tmp_path / "a.h5")


def test_hdf5_damage_is_one_line(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("block1_conv1/block1_conv1/kernel:0", data=np.ones((3, 4), np.float32))
        file["block1_conv1/block1_conv1/bias:0"] = np.ones(4, np.float32)
    only_user_errors(hdf5_file.load, tmp_path / "a.h5", 100)


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_variables_are_those_that_scipy_wrote(tmp_path, compressed):
    numbers = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    variables = {
        "layers": cell(numbers, np.arange(3, dtype=np.int16), "h\u00f6he", cell(1.5, np.zeros((0, 0)))),
        "meta": {
            "name": "conv1_1",
            "weights": numbers.astype(np.float64),
            "ab": np.uint8(7),
            "longer_name": np.array([True]),
        },
        "normalization": np.array([(1.0, "x"), (2.0, "y")], [("size", object), ("kind", object)]),
        "classes": "not asked for",
    }
    scipy.io.savemat(tmp_path / "a.mat", variables, do_compression=compressed, oned_as="row")
    read = matlab_file.load(tmp_path / "a.mat")
    assert list(read) == ["layers", "meta", "normalization"]
    array, row, text, (number, nothing) = read["layers"]
    np.testing.assert_array_equal(array, numbers)
    assert (array.dtype, row.tolist(), text, number.item(), nothing.size) == (
        np.float32,
        [[0, 1, 2]],
        "h\u00f6he",
        1.5,
        0,
    )
    assert list(read["meta"]) == ["name", "weights", "ab", "longer_name"]
    np.testing.assert_array_equal(read["meta"]["weights"], numbers)
    assert [(row["size"].item(), row["kind"]) for row in read["normalization"]] == [(1, "x"), (2, "y")]


def test_matlab_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab_file, "MAX_BYTES", 1 << 20)
    stream = zlib.compress(struct.pack("<II", 14, 8 << 20) + bytes(8 << 20))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\x01IM"
    (tmp_path / "a.mat").write_bytes(header + struct.pack("<II", 15, len(stream)) + stream)
    with pytest.raises(UserError, match="a variable of 8388608 bytes"):
        matlab_file.load(tmp_path / "a.mat")


def test_matlab_truncated_anywhere_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"layers": cell("conv1_1", np.arange(5.0), {"name": "a longer text"})})
    content = (tmp_path / "a.mat").read_bytes()
    for length in range(matlab_file.HEADER + 1, len(content)):
        (tmp_path / "a.mat").write_bytes(content[:length])
        with pytest.raises(UserError, match="is not a MATLAB file that can be read"):
            matlab_file.load(tmp_path / "a.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_damage_is_one_line(tmp_path, compressed):
    layers = cell({"name": "conv1_1", "weights": cell(np.ones((3, 3)), np.ones(4))})
    scipy.io.savemat(tmp_path / "a.mat", {"layers": layers}, do_compression=compressed, oned_as="row")
    only_user_errors(matlab_file.load, tmp_path / "a.mat", 200)


def test_the_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"reading .h5 files needs h5py; run `pip install 'nstjax\[convert\]'`"):
        hdf5_file.load(tmp_path / "a.h5")
