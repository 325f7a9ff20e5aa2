"""Convolution with kernels that are not trained: the gradient is taken of its input only.

JAX's own input gradient reads the kernel through swapped axes, which XLA's CPU backend runs several times slower inside
a loop than outside (jax 0.10.2). Written as one more convolution, with the kernel turned round, it is fast in both.
"""

from functools import partial
from typing import Any

import jax
from jax import lax
from jaxtyping import Array, Float

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def frozen(
    lhs: Float[Array, "n h w i"],
    rhs: Float[Array, "k k i o"],
    window_strides: Any,
    padding: str,
    *,
    precision: lax.PrecisionLike = None,
    **_: Any,
) -> Float[Array, "n h2 w2 o"]:
    """A drop-in for `lax.conv_general_dilated` as `flax.linen.Conv` calls it, for stride 1 and odd square kernels.

    `padding` is "SAME" (zeros) or "VALID". The kernel's own gradient is zero: it is frozen.
    """
    return _convolve(lhs, rhs, len(rhs) // 2 if padding == "SAME" else 0, precision)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x: Array, kernel: Array, border: int, precision: lax.PrecisionLike) -> Array:
    padding = ((border, border), (border, border))
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=_DIMENSIONS, precision=precision)


def _forward(x: Array, kernel: Array, border: int, precision: lax.PrecisionLike) -> tuple[Array, Array]:
    return _convolve(x, kernel, border, precision), kernel


def _backward(border: int, precision: lax.PrecisionLike, kernel: Array, gradient: Array) -> tuple[Array, None]:
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    return _convolve(gradient, turned, len(kernel) - 1 - border, precision), None


_convolve.defvjp(_forward, _backward)
