"""What a run works on: its pictures and network, and at each scale the pictures' sizes and the targets."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nstjax import assets, convolution, files, images, inits, objective, optimizers, weights
from nstjax.color import AnyPixels
from nstjax.config import MAX_SIZE, Config
from nstjax.errors import UserError
from nstjax.features import Extract, extractor, up_to_deepest
from nstjax.layers import smallest_side
from nstjax.outputs import RESULT
from nstjax.run import coloring
from nstjax.types import Image, Network


class Source(NamedTuple):
    """A picture of the run, as large as its file has it."""

    path: Path
    picture: images.Picture

    def facts(self) -> dict[str, Any]:
        """What the manifest says of it."""
        height, width, _ = self.picture.pixels.shape
        file = {"path": str(self.path.absolute()), "sha256": self.picture.sha256, "bytes": self.path.stat().st_size}
        return file | {"width": width, "height": height, "notes": list(self.picture.notes)}


class Problem(NamedTuple):
    """What all scales of a run have in common."""

    content: Source
    styles: tuple[Source, ...]
    init: Source | None
    weights_file: Path
    network: Network
    objective: objective.Objective
    weights: objective.Weights

    @property
    def plain_network(self) -> Network:
        """Without prepared kernels: for what is computed only once, their programs aren't worth compiling."""
        return self.network._replace(prepared={})

    def facts(self) -> dict[str, Any]:
        """What the manifest says of the files that the run was made from."""
        pictures = {"content": self.content.facts(), "style": [style.facts() for style in self.styles]}
        if self.init:
            pictures["init"] = self.init.facts()
        path = self.weights_file
        weights = {"path": str(path.absolute()), "sha256": files.sha256(path), "bytes": path.stat().st_size}
        return {"pictures": pictures, "weights": weights}


class Stage(NamedTuple):
    """One scale of the schedule: its steps and their optimizer, the content at its size, and the targets.

    `photo` is the content picture in its own colors, `content` as the transfer has it.
    """

    number: int
    steps: int
    optimizer: optimizers.Optimizer
    photo: images.Pixels
    content: Image
    targets: objective.Targets


def check_inputs(config: Config, folder: Path) -> None:
    """Refuses a picture that the run would remove before it reads it: what an earlier one left in the same folder."""
    own = folder.resolve()
    for text in (config.content.path, config.style.path, *config.style.blend, config.init.path):
        real = Path(os.path.realpath(_path(text) or ""))
        if real == own / RESULT or real.parent == own / "previews":
            raise UserError(f"{text} is of an earlier run in this run's folder; choose another hydra.run.dir")


def prepare(config: Config) -> Problem:
    """Opens and fetches everything that a run needs; what is wrong with it is said before any of it is computed on."""
    _optimizer(config, steps=1)
    content = _open(config, config.content.name, config.content.path)
    blend = (_open_name_or_path(config, text) for text in config.style.blend)
    styles = (_open(config, config.style.name, config.style.path), *blend)
    init = _open(config, None, config.init.path) if config.init.kind == "picture" else None
    _check_sizes(config, content, styles)
    weights_file = weights.locate(config.weights.source, _path(config.weights.path))
    compared = objective.from_config(config.objective, _extractor(config))
    status, layers = weights_file.stat(), up_to_deepest(compared.layers)
    version = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)  # `cp -p` keeps two of them
    network = _network(weights_file, version, layers, config.runtime.convolution)
    return Problem(
        content,
        styles,
        init,
        weights_file,
        network=network,
        objective=compared,
        weights=objective.weights_from_config(config.objective),
    )


@lru_cache(maxsize=1)  # the jobs of a sweep have one network
def _network(file: Path, version: tuple[int, ...], layers: tuple[str, ...], algorithm: str) -> Network:
    """The network of a version of a file, with what `convolution.prepare` makes of its layers."""
    network = weights.read(file)
    return network._replace(prepared=convolution.prepare(network.params, layers, algorithm))


def _check_sizes(config: Config, content: Source, styles: Sequence[Source]) -> None:
    """Refuses a size at which a picture, or a layer's map of one, is too small at one of the scales."""
    if wrong := _empty_map(config, content, styles):
        larger = (replace(config, size=size) for size in range(config.size + 1, MAX_SIZE + 1))
        enough = next((each.size for each in larger if not _empty_map(each, content, styles)), None)
        remedy = f"give size={enough} or more" if enough else "crop the picture"
        raise UserError(f"{wrong}; {remedy}, or a layer before it")


def _empty_map(config: Config, content: Source, styles: Sequence[Source]) -> str | None:
    """The first layer that a picture is too small for, in words."""
    of_styles = config.objective.style.layers
    for number, share in enumerate(config.schedule.scales):
        shape = _content_shape(config, content, share)
        needed = [("content", shape, (*config.objective.content.layers, *of_styles))]
        needed += [("style", _style_shape(config, style, shape), of_styles) for style in styles]
        for name, (height, width), layers in needed:
            for layer in layers:
                if min(height, width) < smallest_side(layer, config.network.pool_edges):
                    return f"{layer} has nothing left of the {name} picture's {width}x{height} pixels at scale {number}"
    return None


def stages(config: Config, problem: Problem, first: int = 0) -> Iterator[Stage]:
    """The scales from the `first` on, each with its targets; computed when the loop comes to it."""
    blend = config.style.shares or (1.0,) * len(problem.styles)
    for index in range(first, len(config.schedule.scales)):
        share, steps = config.schedule.scales[index], config.schedule.steps[index]
        shape = _content_shape(config, problem.content, share)
        photo = _resized(config, problem.content, shape)
        content = jnp.asarray(coloring.to_begin_with(config.color, photo))
        styles = [_recolored(config, style, _style_shape(config, style, shape), photo) for style in problem.styles]
        targets = objective.make_targets(problem.plain_network, content, styles, blend, objective=problem.objective)
        yield Stage(index, steps, _optimizer(config, steps), photo, content, targets)


def initial(config: Config, problem: Problem, stage: Stage) -> Image:
    """The first image, of the size of the stage's content."""
    scale, mean, _ = problem.network.preprocessing
    shape = stage.content.shape[:2]
    picture = _resized(config, problem.init or problem.content, shape)
    return inits.initial(
        config.init.kind,
        jax.random.key(config.seed),
        content=stage.content,
        style=_recolored(config, problem.styles[0], shape, stage.photo),
        picture=jnp.asarray(coloring.to_begin_with(config.color, picture)),
        center=mean / scale,
        amplitude=config.init.amplitude,
        distribution=config.init.distribution,
        noise_share=config.init.noise_share,
    )


def alpha(config: Config, problem: Problem, content: Image) -> np.ndarray | None:
    """The transparency that the result keeps, of the size of `content`; None: nothing to keep, or not wanted."""
    plane = problem.content.picture.alpha
    if plane is None or not config.output.alpha:
        return None
    return images.resize(plane, *content.shape[:2], resample=config.sizing.resample)


def learning_rates(config: Config, steps: int) -> np.ndarray:
    """The learning rate of each of a scale's evaluations."""
    optimizer = config.optimizer
    return optimizers.learning_rates(optimizer.decay, optimizer.learning_rate, optimizer.final, steps)


def _optimizer(config: Config, steps: int) -> optimizers.Optimizer:
    return optimizers.create(config.optimizer.name, config.optimizer.parameters, steps)


def _extractor(config: Config) -> Extract:
    dtype = "bfloat16" if config.runtime.precision == "bf16" else "float32"
    return extractor(**asdict(config.network), dtype=dtype)


def _open(config: Config, name: str | None, path: str | None) -> Source:
    if not (name or path):
        raise UserError("a picture has neither a name nor a path; give content or style, =NAME or .path=FILE")
    file = _path(path) or assets.resolve(name or "")
    return Source(file, images.load(file, config.background))


def _open_name_or_path(config: Config, text: str) -> Source:
    return _open(config, text, None) if text in assets.names() else _open(config, None, text)


def _path(text: str | None) -> Path | None:
    return Path(os.path.expanduser(text)) if text else None  # unlike Path's, leaves `~photo.jpg` as it is


def _content_shape(config: Config, content: Source, share: float) -> tuple[int, int]:
    try:
        return images.fitted(*_sides(content), round(config.size * share), config.sizing.edge)
    except UserError as error:
        raise UserError(f"{error} (size={config.size} times {share:g} of schedule.scales)") from error


def _style_shape(config: Config, style: Source, content_shape: tuple[int, int]) -> tuple[int, int]:
    """The style's size is what the content's came to, by the same measure: with rounding, an area isn't size * size."""
    if config.sizing.style == "content":
        return content_shape
    size = images.measured(*content_shape, config.sizing.edge)
    return images.fitted(*_sides(style), size, config.sizing.edge)


def _sides(source: Source) -> tuple[int, int]:
    height, width, _ = source.picture.pixels.shape
    return height, width


def _recolored(config: Config, style: Source, shape: tuple[int, ...], photo: AnyPixels) -> Image:
    return jnp.asarray(coloring.recolored(config.color, _resized(config, style, shape), photo))


def _resized(config: Config, source: Source, shape: tuple[int, ...]) -> images.Pixels:
    height, width = shape
    sizing = config.sizing
    return images.resize(source.picture.pixels, height, width, resample=sizing.resample, space=sizing.space)
