"""MATLAB files: elements of a type and a size, in elements, all of which may lie."""

import struct
import zlib

import numpy as np
import scipy.io
from weight_files import cell

from hostile.common import Cases, Write, content
from nstjax.weights import layouts


def element(kind: int, data: bytes, count: int | None = None) -> bytes:
    """An element, which may lie about its size."""
    return struct.pack("<II", kind, len(data) if count is None else count) + data + bytes(-len(data) % 8)


def matrix(kind: int, dimensions: tuple[int, ...], *parts: bytes, name: bytes = b"layers") -> bytes:
    """A matrix of a class, made of parts."""
    flags = element(6, struct.pack("<II", kind, 0))
    sizes = element(5, struct.pack(f"<{len(dimensions)}i", *dimensions))
    return element(14, flags + sizes + element(1, name) + b"".join(parts))


def mat(*elements: bytes) -> Write:
    """A MATLAB file of these elements."""
    return content(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"".join(elements))


def packed(data: bytes) -> bytes:
    """A compressed element."""
    stream = zlib.compress(data, 9)
    return struct.pack("<II", 15, len(stream)) + stream


def nested(depth: int) -> bytes:
    """Cells in cells."""
    inner = matrix(6, (1, 1), element(9, bytes(8)))
    for _ in range(depth):
        inner = matrix(1, (1, 1), inner)
    return inner


def zero_bomb(megabytes: int) -> bytes:
    """A compressed variable, declared as large as it is."""
    packer = zlib.compressobj(9)
    head = struct.pack("<II", 14, megabytes << 20)
    stream = (
        packer.compress(head) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()
    )
    return struct.pack("<II", 15, len(stream)) + stream


def saved(**variables: object) -> Write:
    """What scipy writes."""
    return lambda path: scipy.io.savemat(path, variables, oned_as="row")


DOUBLE = element(9, struct.pack("<d", 1.0))
nothing = element(14, b"")
CASES: Cases = {
    "unpacks_to_gigabytes.mat": (mat(zero_bomb(1500)), "a variable of 1572864000 bytes"),
    "unpacks_to_200_megabytes.mat": (mat(zero_bomb(200)), "no layers"),
    "unpacks_to_more_than_it_says.mat": (mat(packed(matrix(6, (1, 1), DOUBLE) + bytes(1 << 28))), "no cell"),
    "unpacks_to_nothings.mat": (mat(packed(matrix(1, (1, 300_000), nothing * 300_000))), "too many elements"),
    "packed_garbage.mat": (mat(element(15, b"not a stream")), "error"),
    "packed_twice.mat": (mat(packed(packed(nested(1)))), "no layers"),
    "packed_and_cut.mat": (mat(packed(nested(3))[:-6]), "truncated"),
    "larger_than_the_file.mat": (mat(element(14, bytes(8), 0xFFFFFFF8)), "truncated"),
    "larger_within.mat": (mat(matrix(6, (1, 1), element(9, bytes(8), 1 << 30))), "truncated"),
    "nested_1000_deep.mat": (mat(nested(1000)), "nested too deeply"),
    "gigantic_dimensions.mat": (mat(matrix(6, (2**31 - 1,) * 8, DOUBLE)), "reshape"),
    "negative_dimensions.mat": (mat(matrix(6, (-1, -1), DOUBLE)), "ValueError"),
    "million_axes.mat": (mat(matrix(6, (1,) * 1_000_000, DOUBLE)), "layers are no cell"),
    "cell_of_another_size.mat": (mat(matrix(1, (1, 2**31 - 1), nothing)), "a cell of another size"),
    "cell_of_minus_one.mat": (mat(matrix(1, (-1, 1), nothing)), "a cell of another size"),
    "fields_of_no_width.mat": (mat(matrix(2, (1, 1), element(5, bytes(4)), element(1, b"name"))), "ValueError"),
    "fields_of_negative_width.mat": (
        mat(matrix(2, (1, 1), element(5, struct.pack("<i", -1)), element(1, b"name"))),
        "a struct of another size",
    ),
    "million_fields.mat": (
        mat(matrix(2, (1, 1), element(5, struct.pack("<i", 1)), element(1, b"a" * 1_000_000))),
        "too many fields",
    ),
    "million_letters.mat": (mat(matrix(4, (1, 1_000_000), element(16, b"a" * 1_000_000))), "a text without end"),
    "odd_bytes.mat": (mat(matrix(6, (1, 1), element(9, bytes(7)))), "ValueError"),
    "unknown_number_type.mat": (mat(matrix(6, (1, 1), element(8, bytes(8)))), "KeyError"),
    "function_handle.mat": (mat(matrix(16, (1, 1), nested(1))), "layers are no cell"),
    "matlab_object.mat": (mat(matrix(3, (1, 1), element(1, b"evil"), nested(1))), "layers are no cell"),
    "sparse.mat": (mat(matrix(5, (1 << 30, 1 << 30), DOUBLE)), "layers are no cell"),
    "no_parts.mat": (mat(element(14, element(6, bytes(8)))), "ValueError"),
    "no_data.mat": (mat(matrix(6, (1, 1))), "IndexError"),
    "wrong_byte_order.mat": (content(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1XX" + nested(1)), "KeyError"),
    "header_alone.mat": (content(b"MATLAB 5.0".ljust(128)), "KeyError"),
    "layers_of_numbers.mat": (saved(layers=np.zeros((500, 500))), "layers are no cell"),
    "layers_of_texts.mat": (saved(layers=cell("conv1_1", "conv1_2")), "no conv1_1"),
    "weights_of_texts.mat": (
        saved(layers=cell(*({"name": name, "weights": "ab"} for name in layouts.LAYERS))),
        "is not a VGG19",
    ),
    "weights_of_three.mat": (
        saved(layers=cell(*({"name": name, "weights": cell(1.0, 2.0, 3.0)} for name in layouts.LAYERS))),
        "is not a VGG19",
    ),
    "weights_of_structs.mat": (
        saved(layers=cell(*({"name": name, "weights": cell({"a": 1.0}, {"b": 1.0})} for name in layouts.LAYERS))),
        "is not a VGG19",
    ),
}
