"""Guides: what becomes of a mask of a picture's pixels at each layer of VGG19, whose positions see many of them.

Source: Gatys et al. (2017), section 4. Differs from their code, which finds by probing the network with noise which
positions see a region, and zooms the mask: here a mask goes through the network's own geometry, so that `inside` and
`all` are the same sets exactly, and soft edges stay soft. A guide isn't scaled: statistics divide by the sum of its
squares.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from nstjax.features import up_to_deepest

Mask = Float32[np.ndarray, "h w"]  # from 0, which does not count, to 1
AnyMask = Float32[np.ndarray, "_ _"]
Reduction = Callable[..., np.ndarray]

FAINT = 0.05  # a guide that is nowhere above has nothing left: black as files have it isn't always 0


class Propagation(NamedTuple):
    """What a position takes from those of the layer before it that it sees."""

    at_convolution: Reduction | None  # of itself and its eight neighbors; None: its own value
    at_pooling: Reduction  # of the four that are pooled


PROPAGATIONS: Mapping[str, Propagation] = {
    "simple": Propagation(None, np.mean),  # the share of the region in the pixels that poolings make a position of
    "inside": Propagation(np.min, np.min),  # positions that see nothing but the region
    "all": Propagation(np.max, np.max),  # positions that see anything of the region
}


def propagated(
    mask: Mask, layers: Sequence[str], *, propagation: str, pool_edges: str, extend: int = 0
) -> dict[str, AnyMask]:
    """The guide at each of the layers, of its map's height and width, from 0 to 1.

    `inside` <= `simple` <= `all`, everywhere. What lies beyond the picture's border is of no region.

    Args:
        pool_edges: VGG19's; its `pooling` and `padding` change nothing of what a position sees.
        extend: positions by which every guide then grows, or, below 0, shrinks. Gatys' code: 3, with `inside`.
    """
    convolved, pooled = PROPAGATIONS[propagation]
    guide, guides = mask, {}
    for layer in up_to_deepest(tuple(layers)):
        if layer.startswith("conv") and convolved:
            guide = _over_neighbors(convolved, guide)
        if layer.startswith("pool"):
            guide = _over_windows(pooled, guide, pool_edges)
        guides[layer] = guide
    return {layer: _extended(guides[layer], extend) for layer in layers}


def _over_neighbors(reduction: Reduction, mask: AnyMask) -> AnyMask:
    """Of each position and its eight neighbors, as many as there are."""
    for _ in ("down", "across"):
        padded = np.pad(mask, ((1, 1), (0, 0)), "edge")
        mask = reduction([padded[:-2], padded[1:-1], padded[2:]], axis=0).T
    return mask


def _over_windows(reduction: Reduction, mask: AnyMask, edges: str) -> AnyMask:
    """Of each 2 x 2 window; an odd last row or column is left out ("floor"), or pooled alone ("ceil")."""
    height, width = mask.shape
    if edges == "ceil":
        mask = np.pad(mask, ((0, height % 2), (0, width % 2)), "edge")
    rows, columns = (side // 2 for side in mask.shape)
    windows = mask[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    return reduction(windows, axis=(1, 3))


def _extended(guide: AnyMask, by: int) -> AnyMask:
    for _ in range(abs(by)):
        guide = _over_neighbors(np.max if by > 0 else np.min, guide)
    return guide
