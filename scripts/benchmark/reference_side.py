"""The worker that knows what is right: loss and gradient in float64, by convolution written out as nine products.

It shares no code with nstjax's network, objective or convolutions, only the exported pictures, weights and constants.
"""

import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmark import protocol

Features = dict[str, Array]


class Side:
    """The reference's gradient, computed or read, and others compared with it."""

    def compute(self, problem: str) -> dict[str, float]:
        """The loss in float64; its gradient is kept for `compare`."""
        with np.load(problem) as file:
            arrays = {name: jnp.asarray(file[name], jnp.float64) for name in file if name != "terms"}
            weights = dict(zip(file["terms"].tolist(), file["weights"].tolist(), strict=True))
        loss, gradient = jax.jit(jax.value_and_grad(_loss, argnums=0), static_argnums=2)(
            arrays["image"], arrays, tuple(weights.items())
        )
        self.gradient = np.asarray(gradient)
        return {"loss": float(loss)}

    def read(self, path: str) -> None:
        """Takes a gradient in a file as the reference."""
        self.gradient = np.load(path).astype(np.float64)

    def compare(self, path: str) -> dict[str, float]:
        """The cosine of a gradient in a file with the reference's."""
        one, other = self.gradient.ravel(), np.load(path).astype(np.float64).ravel()
        return {"cosine": float(one @ other / np.sqrt((one @ one) * (other @ other)))}


def _loss(image: Array, arrays: Mapping[str, Array], weights: tuple[tuple[str, float], ...]) -> Array:
    pictures = {"content": arrays["content"], "style": arrays["style"]}
    of_image, targets = _features(image, arrays), {name: _features(x, arrays) for name, x in pictures.items()}
    total = jnp.float64(0)
    for term, weight in weights:
        if weight == 0:
            continue
        kind, layer = term.split("/")
        statistic = _gram if kind == "style" else (lambda x: x)
        total += weight * jnp.mean((statistic(of_image[layer]) - statistic(targets[kind][layer])) ** 2)
    return total


def _gram(x: Array) -> Array:
    return jnp.einsum("hwi,hwj->ij", x, x) / (x.shape[0] * x.shape[1])


def _features(image: Array, arrays: Mapping[str, Array]) -> Features:
    """Every ReLU up to relu5_1, with max pooling that drops an odd last row."""
    features, x = {}, (image * arrays["scale"] - arrays["mean"]) / arrays["std"]
    for name in sorted(name.removesuffix("/kernel") for name in arrays if name.endswith("/kernel")):
        if name > "conv5_1":
            break
        if re.fullmatch(r"conv[2-5]_1", name):
            x = _pooled(x)
        x = jax.nn.relu(_convolved(x, arrays[f"{name}/kernel"]) + arrays[f"{name}/bias"])
        features[name.replace("conv", "relu")] = x
    return features


def _convolved(x: Array, kernel: Array) -> Array:
    height, width, _ = x.shape
    padded = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
    shifts = [(i, j) for i in range(3) for j in range(3)]
    return sum((padded[i : i + height, j : j + width] @ kernel[i, j] for i, j in shifts), start=jnp.float64(0))


def _pooled(x: Array) -> Array:
    height, width, channels = x.shape
    x = x[: height // 2 * 2, : width // 2 * 2]
    return x.reshape(height // 2, 2, width // 2, 2, channels).max((1, 3))


if __name__ == "__main__":
    protocol.serve(Side())
