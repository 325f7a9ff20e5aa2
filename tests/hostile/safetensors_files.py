"""safetensors files: a length, a JSON header, and bytes, none of which fit."""

import json
import struct

from hostile.common import Cases, Write, content


def header(entries: object, data: bytes = b"", length: int | None = None) -> Write:
    """A safetensors file by hand; `entries` is a JSON value or its text."""
    text = (entries if isinstance(entries, str) else json.dumps(entries)).encode()
    return content(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(shape: list[int], offsets: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


ABOUT = {"format": 1, "source": "x", "license": "y", "scale": 1, "mean": [0, 0, 0], "std": [1, 1, 1], "digest": "0"}


def described(change: dict[str, object], **entries: object) -> dict[str, object]:
    """A header with nstjax's own metadata, changed."""
    return {"__metadata__": {"nstjax": json.dumps({**ABOUT, **change})}, **entries}


no_vgg19, unreadable = "is not an array of VGG19", "is not a safetensors file that can be read"
CASES: Cases = {
    "endless_header.safetensors": (header({}, length=(1 << 64) - 1), "header is longer"),
    "long_header.safetensors": (header("{" + " " * (64 << 20) + "}"), "header is longer"),
    "header_behind_the_end.safetensors": (header({}, length=1000), unreadable),
    "no_header.safetensors": (content(b"\0" * 8 + b"{"), unreadable),
    "deep_header.safetensors": (header("{" + '"a":{' * 100_000), unreadable),
    "same_name_twice.safetensors": (
        header(
            '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
            bytes(4),
        ),
        "safetensors",
    ),
    "overlapping.safetensors": (
        header(described({}, **{"conv1_1/bias": entry([3], [0, 12]), "conv1_2/bias": entry([3], [0, 12])}), bytes(12)),
        unreadable,
    ),
    "behind_the_end.safetensors": (header(described({}, a=entry([3], [0, 12]))), unreadable),
    "backwards.safetensors": (header(described({}, a=entry([3], [12, 0])), bytes(12)), unreadable),
    "shape_overflow.safetensors": (header(described({}, a=entry([1 << 40, 1 << 40], [0, 4])), bytes(4)), unreadable),
    "negative_shape.safetensors": (header(described({}, a=entry([-1, -1], [0, 4])), bytes(4)), unreadable),
    "gap.safetensors": (header(described({}, a=entry([1], [8, 12])), bytes(12)), unreadable),
    "trailing_bytes.safetensors": (header(described({}, a=entry([1], [0, 4])), bytes(12)), unreadable),
    "float64.safetensors": (header(described({}, **{"conv1_1/bias": entry([3], [0, 24], "F64")}), bytes(24)), no_vgg19),
    "bfloat16.safetensors": (header(described({}, **{"conv1_1/bias": entry([3], [0, 6], "BF16")}), bytes(6)), no_vgg19),
    "unknown_type.safetensors": (header(described({}, a=entry([1], [0, 4], "X32")), bytes(4)), unreadable),
    "many_arrays.safetensors": (header(described({}, **{f"{i}": entry([0], [0, 0]) for i in range(10_000)})), no_vgg19),
    "metadata_of_numbers.safetensors": (header({"__metadata__": {"nstjax": 1}}), unreadable),
    "deep_metadata.safetensors": (header({"__metadata__": {"nstjax": "[" * 100_000}}), "safetensors"),
    "line_in_the_format.safetensors": (header(described({"format": "1\n2\x1b[31m" * 100})), "format 1?2?[31m"),
    "line_in_a_name.safetensors": (
        header(described({}, **{"a\nb\x1b[31m" * 100: entry([1], [0, 4])}), bytes(4)),
        no_vgg19,
    ),
    "huge_scale.safetensors": (header(described({"scale": 10**400})), unreadable),
    "no_scale.safetensors": (header(described({"scale": 0})), "preprocessing is impossible"),
    "no_digest.safetensors": (
        header({"__metadata__": {"nstjax": json.dumps({"format": 1})}}),
        "was not written by nstjax",
    ),
}
