"""Arithmetic of one loss and gradient of a picture, with VGG19 up to relu5_1; a multiply-add is two operations."""

from collections.abc import Iterator

from nstjax.layers import CHANNELS

DEEPEST = "relu5_1"
STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
_SAVED = 4  # Winograd's F(4x4, 3x3): 36 multiplications in place of 144
_WINOGRAD_CHANNELS = 64


def direct(height: int, width: int) -> float:
    """Operations of the direct algorithm: convolutions and Gram matrices, and the gradients of their inputs."""
    return sum(operations for _, _, operations in _convolutions(height, width)) + _grams(height, width)


def winograd(height: int, width: int) -> float:
    """Operations of products alone, with Winograd's algorithm where nstjax uses it; its transforms aren't counted."""
    convolutions = sum(
        operations / (_SAVED if channels >= _WINOGRAD_CHANNELS else 1)
        for _, channels, operations in _convolutions(height, width)
    )
    return convolutions + _grams(height, width)


def _layers(height: int, width: int) -> Iterator[tuple[str, int, int, int]]:
    """Each layer's name, input channels and positions' height and width."""
    before = 3
    for name, channels in CHANNELS.items():
        yield name, before, height, width
        if name == DEEPEST:
            return
        if name.startswith("pool"):
            height, width = height // 2, width // 2
        before = channels


def _convolutions(height: int, width: int) -> Iterator[tuple[str, int, float]]:
    for name, channels, h, w in _layers(height, width):
        if name.startswith("conv"):
            yield name, channels, 2 * (2 * 9 * channels * CHANNELS[name] * h * w)


def _grams(height: int, width: int) -> float:
    return sum(2 * (2 * CHANNELS[name] ** 2 * h * w) for name, _, h, w in _layers(height, width) if name in STYLE)
