"""Winograd's minimal filtering F(4x4, 3x3): a 3x3 convolution with a quarter of the multiplications.

An output tile of 4x4 comes from an input window of 6x6 by A^T [(G g G^T) * (B^T d B)] A, where the product is one
matrix product over channels for each of the 36 positions of the transformed window. The kernels g are frozen, so their
transforms are computed once (`prepare`). The picture is worked on in strips of tiles, which stay in the processor's
cache on their way through the transforms.

Source: Lavin & Gray (2016), "Fast Algorithms for Convolutional Neural Networks", equation 8, matrices of F(4, 3).
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

TILE, WINDOW = 4, 6  # sides of the output tile and of the input window that it is computed from

# B^T, G and A^T of F(4, 3): polynomials through the points 0, 1, -1, 2, -2 and infinity.
_INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
_KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_OUTPUT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])

_STRIP_BYTES = 1 << 20  # of a strip's transformed windows: what a core's cache holds
_STRIP_TILES = 128  # at least: fewer would leave the products waiting for the kernels to come from memory


Kernel = Float[Array, "36 i o"]  # transformed


def prepare(kernel: Float[np.ndarray, "3 3 i o"]) -> Kernel:
    """G g G^T of a kernel."""
    both_sides = np.kron(_KERNEL, _KERNEL).astype(np.float32)
    return jnp.asarray((both_sides @ kernel.reshape(9, -1)).reshape(WINDOW**2, *kernel.shape[2:]))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: Float[Array, "h w i"], kernel: Kernel, border: int) -> Float[Array, "h2 w2 o"]:
    """The 3x3 convolution of `x` with `border` rows and columns of zeros around it; the kernel is frozen."""
    return _convolve(x, kernel, border, turned=False)


def _forward(x: Array, kernel: Kernel, border: int) -> tuple[Array, Kernel]:
    return convolve(x, kernel, border), kernel


def _backward(border: int, kernel: Kernel, gradient: Array) -> tuple[Array, None]:
    return _convolve(gradient, kernel, 2 - border, turned=True), None


convolve.defvjp(_forward, _backward)


def _convolve(x: Float[Array, "h w c"], kernel: Kernel, border: int, *, turned: bool) -> Float[Array, "h2 w2 c2"]:
    """The convolution, or with the kernel turned by 180 degrees and its channels exchanged: the input gradient's.

    Turning the kernel is turning the windows before and the tiles after, so that one transform serves both.
    """
    height, width, channels = x.shape
    out_height, out_width = height + 2 * border - 2, width + 2 * border - 2
    out_channels = kernel.shape[1 if turned else 2]
    tiles_down, tiles_across = -(-out_height // TILE), -(-out_width // TILE)
    strip = _strip_height(tiles_down, tiles_across, channels)
    strips = -(-tiles_down // strip)
    below = strips * strip * TILE + 2 - height - border
    beyond = (tiles_across + 1) * TILE - width - border
    padded = jnp.pad(x.astype(jnp.float32), ((border, below), (border, beyond), (0, 0)))
    padded = lax.optimization_barrier(padded)

    def convolve_strip(k: Array, out: Array) -> Array:
        rows = lax.dynamic_slice_in_dim(padded, k * strip * TILE, strip * TILE + 2)
        return lax.dynamic_update_slice_in_dim(out, _convolve_strip(rows, kernel, turned), k * strip * TILE, 0)

    out = jnp.zeros((strips * strip * TILE, tiles_across * TILE, out_channels))
    return lax.fori_loop(0, strips, convolve_strip, out)[:out_height, :out_width].astype(x.dtype)


def _strip_height(tiles_down: int, tiles_across: int, channels: int) -> int:
    """Rows of tiles in a strip."""
    tiles = max(_STRIP_BYTES // (4 * WINDOW**2 * channels), _STRIP_TILES)
    height = min(max(round(tiles / tiles_across), 1), tiles_down)
    return -(-tiles_down // -(-tiles_down // height))  # strips of nearly equal height: fewer empty rows in the last


def _convolve_strip(rows: Float[Array, "rows columns c"], kernel: Kernel, turned: bool) -> Float[Array, "_ _ c2"]:
    """Four output rows for each row of tiles. The barriers keep XLA from computing a transform anew for each use."""
    down, across = (rows.shape[0] - 2) // TILE, rows.shape[1] // TILE - 1
    of_windows, of_tiles, product = (
        (_INPUT[:, ::-1], _OUTPUT[::-1], "kto,kio->kti") if turned else (_INPUT, _OUTPUT, "kti,kio->kto")
    )
    half = lax.optimization_barrier(_combine(of_windows, _strided(rows, down, axis=0)))
    windows = lax.optimization_barrier(_combine(of_windows, _strided(half, across, axis=2), axis=1))
    products = jnp.einsum(product, windows.reshape(WINDOW**2, down * across, -1), kernel)
    products = lax.optimization_barrier(products).reshape(WINDOW, WINDOW, down, across, -1)
    half_tiles = lax.optimization_barrier(_combine(of_tiles, products))
    tiles = _combine(of_tiles, half_tiles.swapaxes(0, 1), axis=3)
    return tiles.swapaxes(0, 1).reshape(down * TILE, across * TILE, -1)


def _strided(x: Array, count: int, axis: int) -> list[Array]:
    """For each row (or column) of a window: that of all windows, which overlap by two."""
    return [lax.slice_in_dim(x, i, i + (count - 1) * TILE + 1, TILE, axis) for i in range(WINDOW)]


def _combine(matrix: np.ndarray, parts: Sequence[Array] | Array, axis: int = 0) -> Array:
    """The matrix times the parts, as sums of what isn't zero, stacked."""
    return jnp.stack([_sum(row, parts) for row in matrix], axis)


def _sum(row: np.ndarray, parts: Sequence[Array] | Array) -> Array:
    first, *rest = (
        float(weight) * part if weight != 1 else part for weight, part in zip(row, parts, strict=True) if weight
    )
    return sum(rest, start=first)
