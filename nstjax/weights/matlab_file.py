"""Variables out of a MATLAB 5 file from anywhere: numbers, text, cells and structs.

Our own reader, since scipy's compiled one crashes the process on some damaged files. It follows "MAT-File Format"
(MathWorks): a file is a row of elements, each a tag (type, size) and data; a matrix is an element made of elements.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nstjax.errors import UserError
from nstjax.weights.layouts import first_line

MAX_BYTES = 640 << 20  # of the file, and of what is packed in it; the largest known has 575 MB
MAX_DEPTH, MAX_AXES, MAX_TEXT = 16, 32, 1 << 16
MAX_ELEMENTS = 200_000  # an empty one is 8 bytes of the file, and a hundred of memory
HEADER = 128
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
MATRIX, COMPRESSED = 14, 15
TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL_CLASS, STRUCT_CLASS, CHAR_CLASS, NUMBER_CLASSES = 1, 2, 4, range(6, 16)

Element = tuple[int, memoryview]


class Form:
    """How a file is written, and how many elements of it were met."""

    def __init__(self, order: str) -> None:
        self.order = order  # of bytes: "<" or ">"
        self.elements = 0

    def count(self) -> None:
        """Raises ValueError at one element too many."""
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise ValueError("too many elements")


def load(path: Path, names: tuple[str, ...] = ("layers", "meta", "normalization")) -> dict[str, Any]:
    """The variables of these names that are there.

    A struct is a dict (a list of dicts, if it isn't 1 x 1), a cell a list, text a str, numbers an array in MATLAB's own
    shape; anything else is None.

    Raises:
      UserError: the file is damaged, or too large.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("it is larger than any VGG19")
        content = path.read_bytes()
        form = Form({b"IM": "<", b"MI": ">"}[content[126:HEADER]])
        return dict(_variables(memoryview(content)[HEADER:], form, names))
    except Exception as error:  # struct, zlib and NumPy each have their own
        raise UserError(
            f"{path} is not a MATLAB file that can be read ({first_line(error)}); get the file again"
        ) from error


def _variables(data: memoryview, form: Form, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    room = MAX_BYTES
    for kind, payload in _elements(data, form):
        if kind == COMPRESSED:
            content = _unpack(payload, form, room)
            room -= len(content)
            kind, payload = next(_elements(memoryview(content), form))
        if kind == MATRIX and (name := _name(payload, form)) in names:
            yield name, _matrix(payload, form, 0)


def _unpack(payload: memoryview, form: Form, room: int) -> bytes:
    _, declared = struct.unpack(f"{form.order}II", zlib.decompressobj().decompress(payload[:1024], 8))
    if declared > room:
        raise ValueError(f"a variable of {declared} bytes")
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(payload, 8 + declared)
    if len(content) < 8 + declared:
        raise ValueError("a variable that is truncated")
    return content


def _elements(data: memoryview, form: Form) -> Iterator[Element]:
    at = 0
    while at < len(data):
        form.count()
        kind, count = struct.unpack_from(f"{form.order}II", data, at)
        if kind >> 16:  # a small element: size and type share four bytes, the data are the other four
            kind, count, start = kind & 0xFFFF, kind >> 16, at + 4
            end = at + 8
        else:
            start = at + 8
            end = start + count + (-count % 8 if kind != COMPRESSED else 0)
        payload = data[start : start + count]
        if len(payload) != count:
            raise ValueError("truncated")
        yield kind, payload
        at = end


def _name(payload: memoryview, form: Form) -> str:
    _flags, _dimensions, name = (part for _, (_, part) in zip(range(3), _elements(payload, form), strict=False))
    return bytes(name[:MAX_TEXT]).decode("ascii")


def _matrix(payload: memoryview, form: Form, depth: int) -> Any:
    if not payload:
        return np.zeros((0, 0))  # MATLAB's [] within a cell
    if depth == MAX_DEPTH:
        raise ValueError("nested too deeply")
    (_, flags), dimensions, _name, *parts = _elements(payload, form)
    shape = tuple(int(n) for n in _numbers(dimensions, form)[:MAX_AXES])
    matrix_class = struct.unpack_from(f"{form.order}I", flags)[0] & 0xFF
    if matrix_class == CELL_CLASS:
        return _cell(parts, shape, form, depth)
    if matrix_class == STRUCT_CLASS:
        return _struct(parts, shape, form, depth)
    if matrix_class == CHAR_CLASS:
        return _text(parts[0], form)
    if matrix_class in NUMBER_CLASSES:
        return _numbers(parts[0], form).reshape(shape, order="F")
    return None


def _cell(parts: list[Element], shape: tuple[int, ...], form: Form, depth: int) -> list[Any]:
    if len(parts) != math.prod(shape):
        raise ValueError("a cell of another size")
    return [_matrix(payload, form, depth + 1) for _, payload in parts]


def _struct(parts: list[Element], shape: tuple[int, ...], form: Form, depth: int) -> Any:
    length, (_, joined), *fields = parts
    width = int(_numbers(length, form)[0])
    if len(joined) > MAX_TEXT:
        raise ValueError("too many fields")
    names = [bytes(joined[at : at + width]).split(b"\0")[0].decode("ascii") for at in range(0, len(joined), width)]
    if not names or len(fields) != math.prod(shape) * len(names):
        raise ValueError("a struct of another size")
    values = [_matrix(payload, form, depth + 1) for _, payload in fields]
    rows = [dict(zip(names, values[at:], strict=False)) for at in range(0, len(values), len(names))]
    return rows[0] if len(rows) == 1 else rows


def _text(element: Element, form: Form) -> str:
    kind, payload = element
    if len(payload) > MAX_TEXT:
        raise ValueError("a text without end")
    encoding = TEXT[kind]
    suffix = "" if encoding in ("latin-1", "utf-8") else {"<": "-le", ">": "-be"}[form.order]
    return bytes(payload).decode(encoding + suffix)


def _numbers(element: Element, form: Form) -> np.ndarray[Any, np.dtype[Any]]:
    kind, payload = element
    return np.frombuffer(payload, f"{form.order}{NUMBERS[kind]}")
