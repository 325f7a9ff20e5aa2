"""Pretrained VGG19 convolutions: where they come from, and one layout for all of them.

Layout: `params["conv1_1"]["kernel"]` float32 [3, 3, in, out] (HWIO) and `params["conv1_1"]["bias"]` [out], up to
conv5_4; in a safetensors file, `conv1_1/kernel`. The network always takes RGB. Its preprocessing, input =
(image * scale - mean) / std, travels in the file's metadata, so that weights and preprocessing can't be mismatched.
"""

from pathlib import Path

import jax.numpy as jnp

from nstjax.errors import UserError
from nstjax.types import Network, Params, Preprocessing
from nstjax.weights import foreign, store
from nstjax.weights.sources import SOURCES, Source, locate

__all__ = ["SOURCES", "Source", "convert", "kind", "load", "locate", "read"]

_OF_CAFFE = ("caffe", "caffe-8bit", "keras", "matconvnet")  # one network, by way of several programs


def load(source: str = "caffe-8bit", path: str | Path | None = None) -> Network:
    """A pretrained network by the name of its source, or out of the user's file; see `locate`."""
    return read(locate(source, path))


def read(path: str | Path) -> Network:
    """A network out of a safetensors file in our layout, verified.

    Raises:
      UserError: there is no such file, it is damaged, or it holds something else.
    """
    arrays, about = store.read(Path(path))
    params: Params = {}
    for name, array in arrays.items():
        layer, kind = name.split("/")
        params.setdefault(layer, {})[kind] = jnp.asarray(array)
    scale, mean, std = (jnp.asarray(value, jnp.float32) for value in (about.scale, about.mean, about.std))
    return Network(params, Preprocessing(scale, mean, std))


def kind(path: str | Path) -> str:
    """Which VGG19 a file in our layout holds: "caffe" (Simonyan & Zisserman's), "torchvision" or "random".

    Loss weights that were tuned for one of them don't suit another, whose features are on another scale.
    """
    source = store.source(Path(path))
    return "caffe" if source in _OF_CAFFE else source


def convert(file: str | Path, out: str | Path) -> Path:
    """Converts a weight file of another program (torch, Keras, MatConvNet) to our layout.

    Raises:
      UserError: the file is damaged or not VGG19, or `out` is not a .safetensors file that can be written.
    """
    file, out = Path(file), Path(out)
    if out.suffix != ".safetensors":
        raise UserError(f"{out} does not end in .safetensors; name it so")
    store.write(out, foreign.read(file))
    return out
