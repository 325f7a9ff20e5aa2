"""Coarse to fine: carrying an image and an optimizer's moments up to the next scale."""

from typing import Any

import jax
import jax.numpy as jnp

from nstjax.types import AnyImage, Image


def enlarged(image: Image, height: int, width: int) -> AnyImage:
    """The image at another size, cubic, clipped to [0, 1] like a picture that was saved and opened again."""
    return jnp.clip(jax.image.resize(image, (height, width, 3), "cubic"), 0, 1)


def carried(optimizer_state: Any, old: tuple[int, ...], new: tuple[int, ...]) -> Any:
    """An optimizer's state for an image of shape `new`: what had the image's shape is resized, the rest is kept.

    Differs from style-transfer-pytorch, which carries Adam's first moment up bicubically: linear for both, because it
    keeps the second one positive.
    """

    def carry(leaf: jax.Array) -> jax.Array:
        return jax.image.resize(leaf, new, "linear") if leaf.shape == old else leaf

    return jax.tree.map(carry, optimizer_state)
