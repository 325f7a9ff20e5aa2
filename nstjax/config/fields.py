"""What a field of the schema may hold: names, numbers from a range, layers; and lists in which one value is for all."""

from dataclasses import field
from typing import Any

from nstjax.layers import CHANNELS


def one_of(default: str | int | None, *others: str | int) -> Any:
    """A field that holds one of a few names or numbers; or null, if that is its default."""
    return field(default=default, metadata={"names": tuple(each for each in (default, *others) if each is not None)})


MAX_SIZE = 65536  # pixels
LARGEST = 3.4e38  # of what float32 can hold, in which everything is computed


def within(default: float | tuple[float, ...] | None, low: float, high: float = LARGEST) -> Any:
    """A field whose numbers are from `low` to `high`."""
    return field(default=default, metadata={"range": (low, high)})


def some_of(*names: str) -> Any:
    """A field that holds any of a few names; by default none."""
    return field(default=(), metadata={"names": names})


def names(default: str, *others: str) -> Any:
    """A field that holds some of a few names."""
    return field(default=(default,), metadata={"names": (default, *others)})


def each(values: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """The values of a list in which a single one stands for `count` of them."""
    return values * count if len(values) == 1 else values


def layers(*default: str) -> Any:
    """A field that holds names of VGG19's layers."""
    return field(default=default, metadata={"names": tuple(CHANNELS)})
