"""The Wasserstein distance between features as Gaussians: their means, and the Bures distance of their covariances.

A covariance S is kept as a root, any R with R^T R = S. Between roots the Bures distance is a Procrustes problem, the
least that one root can differ from the other when it may be rotated: min over orthogonal P of |A - P B|^2, solved by
P = U V^T from the singular values of A B^T. All of this keeps float32's digits relative to *deviations*; a covariance
would keep them relative to variances, and nothing of the directions that few positions leave without any.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nstjax.statistics.moments import mean_over_positions, proportions
from nstjax.types import FeatureMap, Guide, Scalar


class Gaussian(NamedTuple):
    """Features' mean over positions, and a root of their covariance; of parts of a picture, `mix` makes the whole."""

    root: Float[Array, "_ c"]  # R^T R is the covariance; no more rows than positions or channels
    mean: Float[Array, "c"]


def gaussian(feature_map: FeatureMap, guide: Guide | None = None) -> Gaussian:
    """Positions count by the square of their guide."""
    f = feature_map.reshape(-1, feature_map.shape[2])
    mean = mean_over_positions(f, guide)
    g = jnp.ones(len(f)) if guide is None else guide.reshape(-1)
    g = g / jnp.maximum(jnp.linalg.norm(g), jnp.finfo(jnp.float32).tiny)
    return Gaussian(_fewest_rows(g[:, None] * (f - mean[None, :])), mean)


def _fewest_rows(x: Float[Array, "m c"]) -> Float[Array, "r c"]:
    """A matrix R with R^T R = X^T X of as few rows as QR gives: X = Q R.

    Its gradient is right for whatever depends on R^T R alone. To first order that is the same with Q held fixed, since
    Q Q^T leaves X as it is; and where X has not full rank, dQ would divide by zero.
    """
    q = lax.stop_gradient(jnp.linalg.qr(lax.stop_gradient(x))[0])
    return jnp.matmul(q.T, x, precision="highest")


def mix(summaries: Sequence[Gaussian], shares: Sequence[float]) -> Gaussian:
    """Mean and covariance of a mixture: the covariance within each picture, and of the pictures' means.

    Shares are made to sum to 1. Source: crowsonkb/style-transfer-pytorch, where means and second moments are blended.
    """
    parts = proportions(shares)
    mean = sum((part * each.mean for part, each in zip(parts, summaries, strict=True)), start=jnp.float32(0))
    rows = (
        part**0.5 * jnp.concatenate([each.root, (each.mean - mean)[None, :]])
        for part, each in zip(parts, summaries, strict=True)
    )
    return Gaussian(_fewest_rows(jnp.concatenate(list(rows))), mean)


def wasserstein_target(target: Gaussian, *, epsilon: float) -> Gaussian:
    """With `epsilon` added to the variances once, not at every evaluation."""
    return target._replace(root=_fewest_rows(_widened(target.root, epsilon)))


def _widened(root: Float[Array, "r c"], epsilon: float) -> Float[Array, "r+c c"]:
    """A root of S + epsilon I."""
    return jnp.concatenate([root, epsilon**0.5 * jnp.eye(root.shape[1])])


def wasserstein_distance(value: Gaussian, target: Gaussian, *, epsilon: float) -> Scalar:
    """The squared 2-Wasserstein distance of two Gaussians, over the number of channels.

    mean (mu - mu*)^2 + mean diag(S + S* - 2 (S*^1/2 S S*^1/2)^1/2), with `epsilon` on the diagonals of S and S*.

    Source: crowsonkb/style-transfer-pytorch, `StyleLossW2`.
    Differs from style-transfer-pytorch: by singular values of roots instead of 12 Newton-Schulz iterations on
    covariances, whose gradient is some 20 % off on features of real pictures; its epsilon is for features of
    `weights.source=torchvision`, some 60 times smaller than Caffe's.
    """
    a, b = _widened(value.root, epsilon), target.root
    u, _, vt = jnp.linalg.svd(lax.stop_gradient(jnp.matmul(a, b.T, precision="highest")), full_matrices=False)
    # The best rotation is a minimum: to first order the distance changes as if it were fixed.
    rotated = jnp.matmul(jnp.matmul(u, vt, precision="highest"), b, precision="highest")
    return jnp.mean((value.mean - target.mean) ** 2) + jnp.sum((a - rotated) ** 2) / len(value.mean)
