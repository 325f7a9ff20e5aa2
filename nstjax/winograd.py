"""Winograd's minimal filtering F(4x4, 3x3): a 3x3 convolution with a quarter of the multiplications.

An output tile of 4x4 comes from an input window of 6x6 by A^T [(G g G^T) * (B^T d B)] A, where the product is one
matrix product over channels for each of the 36 positions of the transformed window. The kernels g are frozen, so their
transforms are computed once (`prepare`). The picture is worked on in strips of tiles, which stay near the processor on
their way through the transforms; bias, ReLU and pooling are done to a strip before it leaves. So nothing of the size
of a whole layer is written but what the next layer reads, and one byte a value for the gradient.

Source: Lavin & Gray (2016), "Fast Algorithms for Convolutional Neural Networks", equation 8, matrices of F(4, 3).
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Shaped

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

_STRIP_VALUES, _LEAST_TILES = 2**15, 128  # tiles times channels; measured in docs/performance.md
_MARGIN = 4  # rows of zeros that may be asked for beyond a map: two of a border, two of a window that is pooled


class Layer(NamedTuple):
    """A convolution's frozen parameters: G g G^T of its kernel, that of its gradient's kernel, and its bias.

    The gradient's is the kernel turned by 180 degrees, with channels exchanged. Its products could read the first one
    by columns, but they are up to half as fast again by rows.
    """

    kernel: Float[Array, "36 i o"]
    gradient: Float[Array, "36 o i"]
    bias: Float[Array, "o"]


def prepare(kernel: Float[np.ndarray, "3 3 i o"], bias: Float[Array, "o"]) -> Layer:
    """A layer out of its parameters."""
    both_sides = np.kron(_KERNEL, _KERNEL).astype(np.float32)

    def transformed(kernel: Float[np.ndarray, "3 3 i o"]) -> Float[Array, "36 i o"]:
        return jnp.asarray((both_sides @ kernel.reshape(9, -1)).reshape(WINDOW**2, *kernel.shape[2:]))

    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    return Layer(transformed(kernel), transformed(turned), jnp.asarray(bias, jnp.float32))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(
    x: Float[Array, "h w i"], layer: Layer, border: int, relu: bool = False, pooling: str = ""
) -> Float[Array, "h2 w2 o"]:
    """The layer's output for `x` with `border` rows and columns of zeros around it, in float32 inside.

    Args:
        relu: the output's negative values are zeros.
        pooling: "max" or "average" of windows of 2x2, after the ReLU; an odd last row or column is dropped. "": none.
    """
    return _forward(x, layer, border, relu, pooling)[0]


_Residuals = tuple[Bool[Array, "h2 w2 o"] | None, Float[Array, "h w 0"], Layer]  # what passed, x's shape, the layer


@partial(jax.jit, static_argnums=(2, 3, 4))  # traced once for layers of one shape
def _forward(x: Array, layer: Layer, border: int, relu: bool, pooling: str) -> tuple[Array, _Residuals]:
    height, width = (side + 2 * border - 2 for side in x.shape[:2])
    if pooling:
        height, width = height // 2 * 2, width // 2 * 2

    def finished(tiles: Float[Array, "rows columns o"]) -> dict[str, Array]:
        values = tiles + jnp.broadcast_to(layer.bias, tiles.shape)
        if not relu:
            return {"out": values.astype(x.dtype)}
        if not pooling:
            return {"out": jnp.maximum(values, 0).astype(x.dtype), "passed": values > 0}
        windows = _windows(lax.optimization_barrier(values))
        out = lax.optimization_barrier(_POOLED[pooling](windows))
        passed = windows > 0
        if pooling == "max":
            passed &= windows == out[:, None, :, None]
        return {"out": out.astype(x.dtype), "passed": passed.reshape(values.shape)}

    source = partial(_rows, x)
    found = _in_strips(source, layer.kernel, (height, width), border, finished)
    return found["out"], (found.get("passed"), x[..., :0], layer)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _backward(
    border: int, relu: bool, pooling: str, residuals: _Residuals, gradient: Float[Array, "h3 w3 o"]
) -> tuple[Float[Array, "h w i"], None]:
    passed, x, layer = residuals

    def source(first: Array, count: int) -> Float[Array, "count w2 o"]:
        """Rows of the gradient before pooling and ReLU."""
        if passed is None:
            return _rows(gradient, first, count)
        if not pooling:
            return jnp.where(_rows(passed, first, count) > 0, _rows(gradient, first, count), 0)
        half, of_half = lax.shift_right_arithmetic(first, 1), count // 2 + 1  # `first` may be -1
        windows = _windows(_rows(passed, half * 2, of_half * 2))
        # Of equally large values, which share the gradient.
        number = _of_corners(jnp.add)(windows) if pooling == "max" else 4
        shares = lax.optimization_barrier(_rows(gradient, half, of_half) / jnp.maximum(number, 1))
        spread = (windows * shares[:, None, :, None]).reshape(of_half * 2, -1, shares.shape[-1])
        return _cut(spread, first - half * 2, count)

    found = _in_strips(source, layer.gradient, x.shape[:2], 2 - border, lambda tiles: {"out": tiles.astype(x.dtype)})
    return found["out"], None


convolve.defvjp(_forward, _backward)


def _windows(x: Float[Array, "h w c"]) -> Float[Array, "h/2 2 w/2 2 c"]:
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1)


def _of_corners(combine: Callable[[Array, Array], Array]) -> Callable[[Array], Array]:
    return lambda x: combine(combine(x[:, 0, :, 0], x[:, 0, :, 1]), combine(x[:, 1, :, 0], x[:, 1, :, 1]))


_POOLED = {
    "max": lambda windows: jnp.maximum(_of_corners(jnp.maximum)(windows), 0),
    "average": lambda windows: _of_corners(jnp.add)(jnp.maximum(windows, 0)) / 4,
}


def _rows(x: Shaped[Array, "h w c"], first: Array, count: int) -> Float[Array, "count w c"]:
    """Rows from the `first` on, with rows of zeros above and below the map, at most `_MARGIN` beyond what it has."""
    height = len(x)
    there = min(count, height)
    start = lax.clamp(0, first, height - there)
    rows = _cut(x, start, there).astype(jnp.float32)
    surrounded = lax.pad(rows, 0.0, ((_MARGIN, _MARGIN + count - there, 0), (0, 0, 0), (0, 0, 0)))
    return _cut(surrounded, first - start + _MARGIN, count)


# Of rows that are there: what `lax` does for negative indices takes time to trace.
_cut = partial(lax.dynamic_slice_in_dim, allow_negative_indices=False)
_put = partial(lax.dynamic_update_slice_in_dim, axis=0, allow_negative_indices=False)


def _in_strips(
    source: Callable[[Array, int], Float[Array, "count w c"]],
    kernel: Float[Array, "36 i o"],
    shape: tuple[int, ...],
    border: int,
    finished: Callable[[Float[Array, "rows columns c2"]], dict[str, Array]],
) -> dict[str, Array]:
    """The convolution, some rows of its output at a time.

    The last strip begins so early that it ends with the map: some rows are computed twice, and none beyond.

    Args:
        source: rows of the input, zeros beyond it.
        shape: height and width of the output.
        finished: what becomes of some rows of the output, each with as many rows or half of them.
    """
    height, width = shape
    tiles_across = -(-width // TILE)
    wanted = _strip_tiles(max(kernel.shape[1:]))
    rows = min(_strip_height(-(-height // TILE), tiles_across, wanted) * TILE, height)

    def strip(k: Array) -> tuple[Array, dict[str, Array]]:
        first = lax.min(k * rows, height - rows)
        given = source(first - border, -(-rows // TILE) * TILE + 2)
        beyond = (tiles_across + 1) * TILE - given.shape[1] - border
        given = lax.optimization_barrier(lax.pad(given, 0.0, ((0, 0, 0), (border, beyond, 0), (0, 0, 0))))
        return first, finished(_convolve_strip(given, kernel)[:rows, :width])

    def put(k: Array, whole: dict[str, Array]) -> dict[str, Array]:
        first, parts = strip(k)
        return {name: _put(whole[name], part, lax.div(first, rows // len(part))) for name, part in parts.items()}

    of_strip = jax.ShapeDtypeStruct((rows, width, kernel.shape[2]), jnp.float32)
    whole = {
        name: jnp.zeros((height * len(part) // rows, *part.shape[1:]), part.dtype)
        for name, part in jax.eval_shape(finished, of_strip).items()
    }
    return lax.fori_loop(0, -(-height // rows), put, whole)


def _strip_tiles(channels: int) -> int:
    """Tiles in a strip, about: fewer leave the products waiting for their kernels, more the transforms for memory."""
    return max(_STRIP_VALUES // channels, _LEAST_TILES)


def _strip_height(tiles_down: int, tiles_across: int, tiles: int) -> int:
    """Rows of tiles in a strip."""
    height = min(max(round(tiles / tiles_across), 1), tiles_down)
    return -(-tiles_down // -(-tiles_down // height))  # strips of nearly equal height: few rows computed twice


@jax.jit  # traced once for strips of one shape, as a layer of as many channels as before it and its gradient have
def _convolve_strip(rows: Float[Array, "rows columns c"], kernel: Float[Array, "36 c c2"]) -> Float[Array, "_ _ c2"]:
    """Four output rows for each row of tiles. The barriers keep XLA from computing a transform anew for each use."""
    down, across = (rows.shape[0] - 2) // TILE, rows.shape[1] // TILE - 1
    with jax.named_scope("windows"):
        half = lax.optimization_barrier(_combine(_INPUT, _strided(rows, down, axis=0)))
        windows = lax.optimization_barrier(_combine(_INPUT, _strided(half, across, axis=2), axis=1))
    with jax.named_scope("products"):
        products = jnp.einsum("kti,kio->kto", windows.reshape(WINDOW**2, down * across, -1), kernel)
        products = lax.optimization_barrier(products).reshape(WINDOW, WINDOW, down, across, -1)
    with jax.named_scope("tiles"):
        half_tiles = lax.optimization_barrier(_combine(_OUTPUT, products))
        tiles = _combine(_OUTPUT, half_tiles.swapaxes(0, 1), axis=3)
    return tiles.swapaxes(0, 1).reshape(down * TILE, across * TILE, -1)


def _strided(x: Array, count: int, axis: int) -> list[Array]:
    """For each row (or column) of a window: that of all windows, which overlap by two."""
    return [lax.slice_in_dim(x, i, i + (count - 1) * TILE + 1, TILE, axis) for i in range(WINDOW)]


def _combine(matrix: np.ndarray, parts: Sequence[Array] | Array, axis: int = 0) -> Array:
    """The matrix times the parts, as sums of what isn't zero, stacked."""
    parts = list(parts)  # cut up once, not for every row
    return jnp.stack([_sum(row, parts) for row in matrix], axis)


def _sum(row: np.ndarray, parts: Sequence[Array]) -> Array:
    """By `lax`: of `jnp`'s operators each is a function of its own, and tracing hundreds of them takes seconds."""
    weighted = [
        part if weight == 1 else lax.mul(part, float(weight)) for weight, part in zip(row, parts, strict=True) if weight
    ]
    return reduce(lax.add, weighted)
