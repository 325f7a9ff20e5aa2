"""torch's two containers read without torch: what a state dict can hold, and what is refused unrun."""

import os
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from weight_files import ModuleState, Parameter, Tensor, only_user_errors, save_legacy, save_zip, tensor

from nstjax.errors import UserError
from nstjax.weights import torch_file

save_torch = pytest.mark.parametrize("save", [save_zip, save_legacy])


@save_torch
def test_torch_dtypes_views_and_nesting(tmp_path, save):
    numbers = np.arange(24)
    tree = OrderedDict(
        plain=tensor(numbers.astype(np.float32).reshape(2, 3, 4)),
        double=tensor(numbers.astype(np.float64), "DoubleStorage"),
        half=tensor(numbers.astype(np.float16), "HalfStorage"),
        bytes=tensor(numbers.astype(np.uint8), "ByteStorage"),
        long=tensor(numbers, "LongStorage"),
        flags=tensor(numbers % 3 == 0, "BoolStorage"),
        scalar=tensor(np.float32(7)),
        empty=tensor(np.zeros((0, 3), np.float32)),
        transposed=Tensor("FloatStorage", numbers.astype(np.float32), (4, 3), (1, 4), 12),
        nested={"inner": {"weight": tensor(numbers.astype(np.int16), "ShortStorage")}},
    )
    save(tmp_path / "a.pth", tree)
    read = torch_file.load(tmp_path / "a.pth")
    np.testing.assert_array_equal(read["plain"], numbers.reshape(2, 3, 4))
    np.testing.assert_array_equal(read["transposed"], numbers[12:].reshape(3, 4).T)
    np.testing.assert_array_equal(read["flags"], numbers % 3 == 0)
    np.testing.assert_array_equal(read["nested.inner.weight"], numbers)
    assert (read["scalar"].shape, read["empty"].shape) == ((), (0, 3))
    dtypes = {name: array.dtype.name for name, array in read.items()}
    assert (dtypes["double"], dtypes["half"]) == ("float64", "float16")
    assert (dtypes["bytes"], dtypes["long"], dtypes["nested.inner.weight"]) == ("uint8", "int64", "int16")


@save_torch
def test_torch_bfloat16_is_widened_exactly(tmp_path, save):
    values = np.array([1.0, -2.5, 0.0, 3.140625, np.inf], np.float32)
    stored = (values.view(np.uint32) >> 16).astype(np.uint16)
    save(tmp_path / "a.pth", {"x": tensor(stored, "BFloat16Storage")})
    np.testing.assert_array_equal(torch_file.load(tmp_path / "a.pth")["x"], values)


@save_torch
def test_torch_reads_only_what_is_wanted(tmp_path, save):
    save(tmp_path / "a.pth", {name: tensor(np.full(3, i, np.float32)) for i, name in enumerate("abc")})
    read = torch_file.load(tmp_path / "a.pth", wanted=lambda name: name == "b")
    assert {name: array.tolist() for name, array in read.items()} == {"b": [1, 1, 1]}


def test_torch_parameters_and_module_metadata(tmp_path):
    save_zip(tmp_path / "a.pth", ModuleState(weight=Parameter(tensor(np.ones(2, np.float32)))))
    assert torch_file.load(tmp_path / "a.pth")["weight"].tolist() == [1, 1]


class Command:
    def __reduce__(self):
        return os.system, ("touch hacked",)


@save_torch
@pytest.mark.parametrize("tree", [Command(), {"weight": Command()}, {"weight": print}, {"weight": complex(1, 2)}])
def test_torch_pickles_that_run_code_are_refused_unrun(tmp_path, save, tree, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.pth", tree)
    with pytest.raises(UserError, match="refused: it names"):
        torch_file.load(tmp_path / "a.pth")
    assert os.listdir(tmp_path) == ["a.pth"]


ONES = np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ({"x": Tensor("FloatStorage", ONES, (1 << 30,), (0,))}, "too large"),
        ({"x": Tensor("FloatStorage", ONES, (1 << 10,), (0,))}, "larger than its storage"),
        ({"x": Tensor("FloatStorage", ONES, (4,), (1,), 1)}, "outside its storage"),
        ({"x": Tensor("FloatStorage", ONES, (2,), (4,))}, "outside its storage"),
        ({"x": Tensor("FloatStorage", ONES, (-4,), (-1,))}, "impossible shape"),
        ({"x": Tensor("FloatStorage", ONES, (2, 2), (1,))}, "without storage"),
        ({f"{i}": i for i in range(20_000)}, "too many entries"),
        ([tensor(ONES)], "no dict of tensors"),
        ({(1, 2): tensor(ONES)}, "a key that is no name"),
    ],
)
def test_torch_files_that_overstate_themselves_are_refused(tmp_path, tree, reason):
    save_zip(tmp_path / "a.pth", tree)
    with pytest.raises(UserError, match=reason):
        torch_file.load(tmp_path / "a.pth")


def test_torch_dicts_that_share_children_do_not_explode(tmp_path):
    tree = {"x": tensor(ONES)}
    for _ in range(5):
        tree = {f"{i}": tree for i in range(50)}  # 50^5 paths out of 250 entries
    save_zip(tmp_path / "a.pth", tree)
    with pytest.raises(UserError, match="too many entries"):
        torch_file.load(tmp_path / "a.pth")


def rewritten(path, out, compression=zipfile.ZIP_STORED, **replaced):
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as sink:
        for name in source.namelist():
            sink.writestr(name, replaced.get(name.split("/")[1], source.read(name)), compression)
    return out


def test_torch_compressed_archives_are_refused(tmp_path):
    save_zip(tmp_path / "a.pth", {"x": tensor(np.zeros(1 << 20, np.float32))})
    out = rewritten(tmp_path / "a.pth", tmp_path / "b.pth", zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="vgg/byteorder is compressed"):
        torch_file.load(out)


def test_torch_big_endian_is_refused(tmp_path):
    save_zip(tmp_path / "a.pth", {"x": tensor(ONES)})
    with pytest.raises(UserError, match="big-endian"):
        torch_file.load(rewritten(tmp_path / "a.pth", tmp_path / "b.pth", byteorder=b"big"))


@save_torch
def test_torch_damage_is_one_line(tmp_path, save):
    save(tmp_path / "a.pth", {"x": tensor(np.ones((3, 4), np.float32)), "y": {"z": tensor(ONES)}})
    only_user_errors(torch_file.load, tmp_path / "a.pth", 200)
