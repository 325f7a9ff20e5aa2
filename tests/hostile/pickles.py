"""torch files whose pickle calls, nests, repeats, collides or overstates: the archive around it is fine."""

import pickle
import struct
import zipfile
from pathlib import Path

from hostile.common import ONES, Cases, Write

SYSTEM = b"cposix\nsystem\n(X\x0c\0\0\0touch hacked\x85R."


def program(data: bytes, **members: bytes) -> Write:
    """An archive with this pickle, and storages."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("vgg/data.pkl", data)
            archive.writestr("vgg/byteorder", "little")
            archive.writestr("vgg/data/0", members.get("storage", ONES.tobytes()))

    return write


def called(module: str, name: str, *arguments: object) -> bytes:
    """A pickle of protocol 2 that calls `module.name(*arguments)`."""
    pushed = b"".join(pickle.dumps(argument, 2)[2:-1] for argument in arguments)
    return b"\x80\x02}X\x01\0\0\0x" + f"c{module}\n{name}\n(".encode() + pushed + b"tRs."


def storage(key: str = "0", size: int = 4) -> bytes:
    """The opcodes that push a float32 storage."""
    return (
        b"(X\x07\0\0\0storagectorch\nFloatStorage\n"
        + b"".join(pickle.dumps(value, 2)[2:-1] for value in (key, "cpu", size))
        + b"tQ"
    )


def viewed(
    offset: int, shape: tuple[int, ...], stride: tuple[int, ...], key: str = "0", size: int = 4,
    name: str = "features.0.weight",
) -> bytes:  # fmt: skip
    """A pickle of one tensor."""
    numbers = b"".join(pickle.dumps(value, 2)[2:-1] for value in (offset, shape, stride, False))
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(key, size) + numbers + b"}tR"
    return b"\x80\x02}" + pickle.dumps(name, 2)[2:-1] + call + b"s."


def doubled(times: int) -> bytes:
    """A pair of one pair twice, of one pair twice, ...: 2^times leaves out of a few bytes."""
    return b"\x80\x02)" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(times)) + b"."


def colliding(count: int) -> bytes:
    """A dict whose keys are integers of one and the same hash."""
    keys = (pickle.dumps(i * (2**61 - 1), 2)[2:-1] for i in range(1, count + 1))
    return b"\x80\x02}(" + b"".join(key + b"N" for key in keys) + b"u."


refused = "refused: it names"
opcode = "refused: pickle opcode"
CASES: Cases = {
    "os_system.pth": (program(called("os", "system", "touch hacked")), refused),
    "posix_system.pth": (program(b"\x80\x02" + SYSTEM), refused),
    "eval.pth": (program(called("builtins", "eval", "open('hacked', 'w')")), refused),
    "exec.pth": (program(called("builtins", "exec", "open('hacked', 'w')")), refused),
    "python2_eval.pth": (program(called("__builtin__", "eval", "open('hacked', 'w')")), refused),
    "getattr.pth": (program(called("builtins", "getattr", "", "join")), refused),
    "open_canary.pth": (program(called("builtins", "open", "canary")), refused),
    "popen.pth": (program(called("subprocess", "Popen", ["touch", "hacked"])), refused),
    "import.pth": (program(called("importlib", "import_module", "antigravity")), refused),
    "runpy.pth": (program(called("runpy", "run_path", "canary")), refused),
    "nested_load.pth": (program(called("torch.storage", "_load_from_bytes", b"")), refused),
    "numpy_object.pth": (program(called("numpy.core.multiarray", "_reconstruct", 1)), refused),
    "dotted_name.pth": (program(b"\x80\x04}\x8c\x01x\x8c\x05torch\x8c\x09os.system\x93)Rs."), refused),
    "stack_global.pth": (
        program(b"\x80\x04}\x8c\x01x\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch hacked\x85Rs."),
        refused,
    ),
    "global_of_numbers.pth": (program(b"\x80\x04K\x01K\x02\x93)R."), refused),
    "inst.pth": (program(b"(X\x0c\0\0\0touch hackediposix\nsystem\n."), opcode),
    "obj.pth": (program(b"(cposix\nsystem\nX\x0c\0\0\0touch hackedo."), refused),
    "newobj.pth": (program(b"\x80\x02ccollections\nOrderedDict\n)\x81."), opcode),
    "extension.pth": (program(b"\x80\x02\x82\x01)R."), opcode),
    "text_id.pth": (program(b"Pcanary\n."), opcode),
    "set_state.pth": (program(b"\x80\x02" + storage() + b"}X\x01\0\0\0xK\x01sb."), "an object with a state"),
    "call_of_a_tensor_type.pth": (program(b"\x80\x02ctorch\nFloatStorage\n)R."), "refused: a call"),
    "call_of_data.pth": (program(b"\x80\x02K\x01)R."), "refused: a call"),
    "billion_laughs.pth": (program(doubled(60)), "no dict of tensors"),
    "nested_deep.pth": (program(b"\x80\x02)" + b"\x85" * 200_000 + b"."), "no dict of tensors"),
    "marks.pth": (program(b"(" * 200_000 + b"."), "unbalanced pickle"),
    "empty_dicts.pth": (program(b"}" * 200_000 + b"."), "unbalanced pickle"),
    "long_pickle.pth": (program(b"N" * (2 << 20) + b"."), "data.pkl is too large"),
    "colliding_keys.pth": (program(colliding(60_000)), "a key that is no name"),
    "endless_text.pth": (program(b"\x8d" + struct.pack("<Q", 1 << 62) + b"x."), ""),
    "endless_frame.pth": (program(b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"}."), "no conv1_1.weight"),
    "endless_integer.pth": (program(b"\x8b" + struct.pack("<i", (1 << 31) - 1) + b"1."), ""),
    "no_stop.pth": (program(b"\x80\x02}"), ""),
    "unknown_memo.pth": (program(b"h\x07."), ""),
    "empty.pth": (program(b""), ""),
    "line_in_a_name.pth": (program(b"\x80\x02cos\x1b[31m\nsystem\n."), ""),
    # tensors that are not where, or what, they say
    "stride_zero.pth": (program(viewed(0, (1 << 27,), (0,))), "a tensor larger than its storage"),
    "stride_zero_terabytes.pth": (program(viewed(0, (1 << 39, 1 << 39), (0, 0))), "too large"),
    "negative_stride.pth": (program(viewed(3, (4,), (-1,))), "impossible shape"),
    "before_its_storage.pth": (program(viewed(-4, (4,), (1,))), "impossible shape"),
    "behind_its_storage.pth": (program(viewed(1 << 39, (4,), (1,))), "outside its storage"),
    "far_stride.pth": (program(viewed(0, (2,), (1 << 39,))), "outside its storage"),
    "nine_axes.pth": (program(viewed(0, (1,) * 9, (1,) * 9)), "impossible shape"),
    "true_as_a_size.pth": (program(viewed(0, (True,), (1,))), "impossible shape"),
    "storage_of_terabytes.pth": (program(viewed(0, (4,), (1,), size=1 << 39)), "too large"),
    "storage_by_path.pth": (program(viewed(0, (4,), (1,), key="../../canary")), "is missing"),
}
