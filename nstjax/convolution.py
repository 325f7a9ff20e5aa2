"""Convolution with kernels that are not trained: the gradient is taken of its input only.

JAX's own input gradient reads the kernel through swapped axes, which XLA's CPU backend runs several times slower inside
a loop than outside (jax 0.10.2). Written as one more convolution, with the kernel turned round, it is fast in both.
On a CPU, where multiplications are what takes the time, Winograd's algorithm is twice as fast as either; and the
gradient of conv1_1, which has only 3 channels, is one product and a sum.
"""

from collections.abc import Mapping
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from nstjax import winograd
from nstjax.types import Params

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")

# Settings of XLA for programs that a network is the most of; on other devices than CPUs they say nothing.
COMPILER = {
    # XLA's scheduler for CPUs computes what it can as soon as it can, such as a layer's style gradient long before the
    # content's has come back to that layer, and keeps it. The other one takes as long, and a quarter less memory.
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
    # Of XLA's two libraries for CPUs the one that is the default for most operations, YNN, is slower than Eigen in
    # convolutions, and up to twice as slow in the products of Winograd's algorithm (jax 0.10.2). It gets reductions.
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE",
}

# With fewer input channels the transforms cost more than they save: conv1_1 has 3.
_WINOGRAD_CHANNELS = 64


def prepare(params: Params, layers: tuple[str, ...], algorithm: str) -> Mapping[str, winograd.Layer]:
    """Those of these layers that another algorithm than the direct one computes, in the form that it needs.

    Args:
        algorithm: "direct", "winograd", or "auto": Winograd's on a CPU, where it was faster in every layer from 8
            positions a side on (docs/performance.md), and direct elsewhere, where nobody has measured it.
    """
    if algorithm == "direct" or (algorithm == "auto" and jax.default_backend() != "cpu"):
        return {}
    convolutions = {layer: params[layer] for layer in layers if layer in params}
    suited = {layer: own for layer, own in convolutions.items() if own["kernel"].shape[2] >= _WINOGRAD_CHANNELS}
    return {layer: winograd.prepare(np.asarray(own["kernel"]), own["bias"]) for layer, own in suited.items()}


def frozen(
    lhs: Float[Array, "1 h w i"],
    rhs: Float[Array, "k k i o"],
    window_strides: Any,
    padding: str,
    *,
    precision: lax.PrecisionLike = None,
    **_: Any,
) -> Float[Array, "1 h2 w2 o"]:
    """A drop-in for `lax.conv_general_dilated` as `flax.linen.Conv` calls it, for stride 1 and odd square kernels.

    `padding` is "SAME" (zeros) or "VALID". The kernel's own gradient is zero: it is frozen.
    """
    border = len(rhs) // 2 if padding == "SAME" else 0
    return _convolve(lhs, rhs, border, precision)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x: Array, kernel: Array, border: int, precision: lax.PrecisionLike) -> Array:
    padding = ((border, border), (border, border))
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=_DIMENSIONS, precision=precision)


def _forward(x: Array, kernel: Array, border: int, precision: lax.PrecisionLike) -> tuple[Array, Array]:
    return _convolve(x, kernel, border, precision), kernel


def _backward(border: int, precision: lax.PrecisionLike, kernel: Array, gradient: Array) -> tuple[Array, None]:
    if kernel.shape[2] < _WINOGRAD_CHANNELS and jax.default_backend() == "cpu":
        return _spread(gradient[0], kernel, border, precision)[None], None
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    return _convolve(gradient, turned, len(kernel) - 1 - border, precision), None


def _spread(
    gradient: Float[Array, "h w o"], kernel: Float[Array, "k k i o"], border: int, precision: lax.PrecisionLike
) -> Float[Array, "h2 w2 i"]:
    """The input's gradient: what each position has for every place of its window, by one product, summed up there.

    A convolution to conv1_1's 3 channels takes so much longer on a CPU that evaluations do (docs/performance.md).
    """
    side, beyond = len(kernel), len(kernel) - 1 - border
    height, width = (length + 2 * beyond - side + 1 for length in gradient.shape[:2])
    shares = jnp.einsum("hwo,ijco->hwijc", gradient, kernel, precision=precision, preferred_element_type=jnp.float32)
    shares = lax.optimization_barrier(shares)
    shares = jnp.pad(shares, ((beyond, beyond), (beyond, beyond), (0, 0), (0, 0), (0, 0)))
    shifted = [shares[side - 1 - i :, side - 1 - j :, i, j] for i in range(side) for j in range(side)]
    return reduce(jnp.add, [share[:height, :width] for share in shifted]).astype(gradient.dtype)


_convolve.defvjp(_forward, _backward)
