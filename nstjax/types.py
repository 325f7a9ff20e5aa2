"""Array aliases and the few pytrees that every room passes on.

Shape letters: `h w` picture or feature map, `c` channels, `m` remembered L-BFGS pairs, `n` evaluations of one chunk,
`v` numbers that an optimizer moves.
Arrays are unbatched; batch with `jax.vmap`. Shapes are checked at run time under pytest only.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, Float

Image = Float[Array, "h w 3"]  # sRGB; [0, 1] wherever a picture is read or written, free during optimisation
FeatureMap = Float[Array, "h w c"]
AnyImage = Float[Array, "_ _ 3"]  # an image whose size has nothing to do with another's
Variable = Float[Array, "*v"]  # what an optimizer moves: the image, or what a parametrization makes of it
Guide = Float[Array, "h w"]  # of a feature map's positions: what each one's features are multiplied by; 0 leaves it out
Scalar = Float[Array, ""]
Features = dict[str, Float[Array, "_ _ _"]]  # by layer
Params = dict[str, dict[str, Array]]  # Flax's layout: {"conv1_1": {"kernel": [3, 3, i, o], "bias": [o]}, ...}


class Preprocessing(NamedTuple):
    """What a network expects: input = (image * scale - mean) / std, channels in RGB order."""

    scale: Float[Array, ""]
    mean: Float[Array, "3"]
    std: Float[Array, "3"]


class Network(NamedTuple):
    """Pretrained parameters together with their own preprocessing, so that the two can't be mismatched."""

    params: Params
    preprocessing: Preprocessing
    prepared: Mapping[str, Any] = {}  # by layer: what `convolution.prepare` made of its kernel
