"""The pickle program of a torch state dict, read as data: nothing is imported, nothing is called.

A stack machine that knows the opcodes in `HANDLERS` and the few names below; anything else is refused. Raises
`ValueError`, or whatever Python raises on nonsense: `torch_file` turns all of it into one `UserError`.
"""

import io
import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

BFLOAT16 = "bfloat16"  # not a NumPy type: read as uint16, widened to float32

DTYPES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch BFloat16Storage": BFLOAT16,
    "torch ByteStorage": "|u1",
    "torch CharStorage": "|i1",
    "torch ShortStorage": "<i2",
    "torch IntStorage": "<i4",
    "torch LongStorage": "<i8",
    "torch BoolStorage": "|b1",
}
CALLABLES = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
}


class Global(NamedTuple):
    """A name that a pickle refers to; never looked up."""

    name: str


class Storage(NamedTuple):
    """A flat array elsewhere in the file."""

    key: str
    dtype: str
    size: int  # elements

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return 2 if self.dtype == BFLOAT16 else np.dtype(self.dtype).itemsize

    @property
    def bytes(self) -> int:
        """Bytes of the whole."""
        return self.size * self.itemsize


class Tensor(NamedTuple):
    """A strided view of a storage, in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Mark:
    """Where the arguments of an opcode begin on the stack."""


class Machine:
    """The stack and the memo of one pickle program."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def pop(self, count: int) -> list[Any]:
        """Takes the topmost values off, the lowest first."""
        require(len(self.stack) >= count, "stack underflow")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def pop_to_mark(self) -> list[Any]:
        """Takes everything above the topmost mark off, and the mark."""
        start = next(i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is Mark)
        return self.pop(len(self.stack) - start)[1:]

    def extend(self, items: list[Any]) -> None:
        """Appends to the list on top."""
        require(type(self.stack[-1]) is list, "items without a list")
        self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        """Sets keys and values, which alternate, in the dict on top."""
        require(type(self.stack[-1]) is dict, "items without a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Python's hash of a large integer is known beforehand: a file could make all its keys collide.
            require(type(key) is str or (type(key) is int and abs(key) < 1 << 32), "a key that is no name")
            self.stack[-1][key] = value

    def reduce(self) -> None:
        """Replaces a function and its arguments by what `_call` makes of them."""
        function, arguments = self.pop(2)
        self.stack.append(_call(function, arguments))

    def drop_state(self) -> None:
        """Leaves the dict on top without its attributes."""
        # What torch attaches to its OrderedDict are version numbers of modules.
        self.pop(1)
        require(type(self.stack[-1]) is dict, "an object with a state")


def require(condition: bool, reason: str) -> None:
    """Raises `ValueError(reason)` unless the condition holds."""
    if not condition:
        raise ValueError(reason)


def interpret(file: io.BytesIO) -> Any:
    """The value of one pickle, which must be plain data, `Tensor`s and dicts of them; stops right behind it."""
    machine = Machine()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "STOP":
            require(len(machine.stack) == 1, "unbalanced pickle")
            return machine.stack[0]
        handler = HANDLERS.get(opcode.name)
        if handler is None:
            raise ValueError(f"refused: pickle opcode {opcode.name}")
        handler(machine, argument)
    raise ValueError("a pickle without an end")


def _global(name: str) -> Global:
    require(name in CALLABLES or name in DTYPES, f"refused: it names {name[:60]!r}, and state dicts are data only")
    return Global(name)


def _call(function: Any, arguments: Any) -> Any:
    """The three constructors that a state dict needs, as data."""
    require(isinstance(function, Global) and type(arguments) is tuple, "refused: a call")
    if function.name == "collections OrderedDict" and arguments in ((), ([],)):
        return {}
    if function.name == "torch._utils _rebuild_parameter" and isinstance(arguments[0], Tensor):
        return arguments[0]
    if function.name.startswith("torch._utils _rebuild_tensor"):
        storage, offset, shape, stride = arguments[:4]
        require(isinstance(storage, Storage) and len(shape) == len(stride), "a tensor without storage")
        return Tensor(storage, _sizes((offset,))[0], _sizes(shape), _sizes(stride))
    raise ValueError(f"refused: a call of {function.name}")


def _sizes(values: Any) -> tuple[int, ...]:
    require(type(values) is tuple and len(values) <= 8, "a tensor of impossible shape")
    require(all(type(value) is int and 0 <= value < 1 << 40 for value in values), "a tensor of impossible shape")
    return tuple(values)


def _storage(identity: Any) -> Storage:
    require(type(identity) is tuple and len(identity) >= 5 and identity[0] == "storage", "an unknown persistent id")
    _, kind, key, _, size = identity[:5]
    require(isinstance(kind, Global) and kind.name in DTYPES and type(key) is str, "a storage of unknown type")
    require(len(identity) == 5 or identity[5] is None, "a view of a storage")
    return Storage(key, DTYPES[kind.name], _sizes((size,))[0])


Handler = Callable[[Machine, Any], None]


def _ignore(machine: Machine, argument: Any) -> None:
    pass


def _push(make: Callable[[Any], Any]) -> Handler:
    return lambda machine, argument: machine.stack.append(make(argument))


def _replace(count: int, make: Callable[..., Any]) -> Handler:
    """Replaces the topmost values by what `make` makes of them."""
    return lambda machine, argument: machine.stack.append(make(*machine.pop(count)))


def _remember(machine: Machine, argument: Any) -> None:
    machine.memo[len(machine.memo) if argument is None else argument] = machine.stack[-1]


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(["PROTO", "FRAME"], _ignore),
    **dict.fromkeys(["BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"], _push(lambda argument: argument)),
    **dict.fromkeys(["BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"], _push(lambda argument: argument)),
    **dict.fromkeys(["BINPUT", "LONG_BINPUT", "MEMOIZE"], _remember),
    **dict.fromkeys(["BINGET", "LONG_BINGET"], lambda machine, key: machine.stack.append(machine.memo[key])),
    "NONE": _push(lambda _: None),
    "NEWTRUE": _push(lambda _: True),
    "NEWFALSE": _push(lambda _: False),
    "EMPTY_TUPLE": _push(lambda _: ()),
    "EMPTY_LIST": _push(lambda _: []),
    "EMPTY_DICT": _push(lambda _: {}),
    "MARK": _push(lambda _: Mark),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_to_mark())),
    "TUPLE1": _replace(1, lambda *items: items),
    "TUPLE2": _replace(2, lambda *items: items),
    "TUPLE3": _replace(3, lambda *items: items),
    "APPEND": lambda machine, _: machine.extend(machine.pop(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.update(machine.pop(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.pop_to_mark()),
    "GLOBAL": _push(_global),
    "STACK_GLOBAL": _replace(2, lambda module, name: _global(f"{module} {name}")),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BINPERSID": _replace(1, _storage),
    "BUILD": lambda machine, _: machine.drop_state(),
}
