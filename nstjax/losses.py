"""How differences are reduced to a number, how rough a picture is, and where its edges are."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from nstjax.types import FeatureMap, Image, Scalar

REDUCTIONS: Mapping[str, Callable[[Float[Array, "..."]], Scalar]] = {
    "mean": lambda difference: jnp.mean(difference**2),
    "sum": lambda difference: jnp.sum(difference**2),
    "half_sum": lambda difference: jnp.sum(difference**2) / 2,  # Gatys et al. (2016), equation 1
    "quarter_mean": lambda difference: jnp.mean(difference**2) / 4,  # with 1 / M: equation 4, 1 / (4 C^2 M^2) sum
    "half_sum_by_root": lambda difference: jnp.sum(difference**2) / (2 * difference.size**0.5),  # neural-style-tf
    # style-transfer-pytorch before February 2021: whatever the features' scale, its gradient's L1 norm is about 1.
    "scaled": lambda difference: jnp.sum(difference**2) / (jnp.sum(jnp.abs(difference)) + 1e-8),
}


def squared_error(value: Float[Array, "..."], target: Float[Array, "..."], *, reduction: str) -> Scalar:
    """The squared difference of two arrays of one shape, reduced as named in `REDUCTIONS`."""
    return REDUCTIONS[reduction](value - target)


def _forward_differences(x: FeatureMap) -> tuple[Float[Array, "h-1 w c"], Float[Array, "h w-1 c"]]:
    return x[1:] - x[:-1], x[:, 1:] - x[:, :-1]


def half_sum_of_squares(x: FeatureMap) -> Scalar:
    """(1/2) sum (dx^2 + dy^2), without the last row and column. Source: Johnson et al. (2016); neural-style."""
    down, right = _forward_differences(x)
    return (jnp.sum(down[:, :-1] ** 2) + jnp.sum(right[:-1] ** 2)) / 2


def mean_of_squares(x: FeatureMap) -> Scalar:
    """Mean of dx^2 + dy^2, without the last row and column. Source: pystiche."""
    down, right = _forward_differences(x)
    return jnp.mean(down[:, :-1] ** 2 + right[:-1] ** 2)


def mean_of_squares_replicated(x: FeatureMap) -> Scalar:
    """Mean of dx^2 + dy^2, the border repeated beyond itself. Source: style-transfer-pytorch before February 2021."""
    down, right = _forward_differences(x)
    return (jnp.sum(down**2) + jnp.sum(right**2)) / x.size


def mean_of_squares_by_direction(x: FeatureMap) -> Scalar:
    """Mean of dx^2 plus mean of dy^2. Source: anishathalye/neural-style."""
    down, right = _forward_differences(x)
    return jnp.mean(down**2) + jnp.mean(right**2)


def eight_neighbors(x: FeatureMap) -> Scalar:
    """2 (mean dx^2 / 3 + mean dy^2 / 3 + means over both diagonals / 12), the border repeated beyond itself.

    Source: crowsonkb/style-transfer-pytorch.
    """
    wide = jnp.pad(x, ((1, 1), (1, 1), (0, 0)), "edge")
    down, right = _forward_differences(x)  # beyond the last row and column they are zero
    falling, rising = wide[1:, 1:] - wide[:-1, :-1], wide[1:, :-1] - wide[:-1, 1:]
    straight = (jnp.sum(down**2) + jnp.sum(right**2)) / x.size
    return 2 * (straight / 3 + (jnp.mean(falling**2) + jnp.mean(rising**2)) / 12)


def sum_of_powers(x: FeatureMap) -> Scalar:
    """sum (dx^2 + dy^2)^1.25, without the last row and column. Source: keras.io's example."""
    down, right = _forward_differences(x)
    return jnp.sum((down[:, :-1] ** 2 + right[:-1] ** 2) ** 1.25)


def sum_of_magnitudes(x: FeatureMap) -> Scalar:
    """sum |dx| + sum |dy|. Source: neural-style-pt; TensorFlow's `tf.image.total_variation`."""
    down, right = _forward_differences(x)
    return jnp.sum(jnp.abs(down)) + jnp.sum(jnp.abs(right))


def mean_of_magnitudes(x: FeatureMap) -> Scalar:
    """(mean |dx| + mean |dy|) / 2. Source: pastiche 1.6.0."""
    down, right = _forward_differences(x)
    return (jnp.mean(jnp.abs(down)) + jnp.mean(jnp.abs(right))) / 2


TOTAL_VARIATIONS: Mapping[str, Callable[[FeatureMap], Scalar]] = {
    "half_sum_of_squares": half_sum_of_squares,
    "mean_of_squares": mean_of_squares,
    "mean_of_squares_replicated": mean_of_squares_replicated,
    "mean_of_squares_by_direction": mean_of_squares_by_direction,
    "eight_neighbors": eight_neighbors,
    "sum_of_magnitudes": sum_of_magnitudes,
    "mean_of_magnitudes": mean_of_magnitudes,
    "sum_of_powers": sum_of_powers,
}


def laplacian(image: Image, pool: int) -> Float[Array, "_ _"]:
    """The Laplacian of a picture's inner pixels, summed over its channels, after averaging squares of `pool` pixels.

    What doesn't fill a square at the bottom and the right is left out. Source: Li et al. (2017), "Laplacian-Steered
    Neural Style Transfer", section 3; askerlee/lapstyle.
    """
    height, width = (side // pool for side in image.shape[:2])
    squares = image[: height * pool, : width * pool].reshape(height, pool, width, pool, 3)
    x = squares.mean((1, 3)).sum(2)
    return 4 * x[1:-1, 1:-1] - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:]
