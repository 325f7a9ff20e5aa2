"""What a run works on: its pictures and network, and at each scale the pictures' sizes and the targets."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nstjax import convolution, files, images, inits, metrics, objective, optimizers, parametrizations, weights
from nstjax.color import AnyPixels
from nstjax.config import Config, each
from nstjax.features import Extract, extractor, up_to_deepest
from nstjax.run import coloring
from nstjax.run.pictures import (
    Source,
    check_sizes,
    content_shape,
    open_name_or_path,
    open_picture,
    path_of,
    resized,
    style_shape,
)
from nstjax.run.regions import Masks, guides_at, open_masks
from nstjax.types import Image, Network

log = logging.getLogger(__name__)


class Problem(NamedTuple):
    """What all scales of a run have in common."""

    content: Source
    styles: tuple[Source, ...]
    masks: Masks
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
        pictures |= {key: source.facts() for key, source in self.masks.sources().items()}
        path = self.weights_file
        file = {"path": str(path.absolute()), "sha256": files.sha256(path), "bytes": path.stat().st_size}
        return {"pictures": pictures, "weights": file | {"kind": weights.kind(path)}}


class Stage(NamedTuple):
    """One scale of the schedule: its steps and their optimizer, the content at its size, and the targets.

    `photo` is the content picture in its own colors, `content` as the transfer has it; `keep` is how much of each
    of its pixels stays, from 0 to 1; None: nothing does. `targets` are `jax.ShapeDtypeStruct` only, all that a program
    is compiled for, until the stage is `aimed`.
    """

    number: int
    steps: int
    optimizer: optimizers.Optimizer
    photo: images.Pixels
    content: Image
    keep: Float[Array, "h w"] | None
    make_targets: Callable[[], objective.Targets]
    targets: objective.Targets

    def aimed(self) -> "Stage":
        """With the targets themselves, which are two passes of the network or more."""
        return self._replace(targets=self.make_targets())


def prepare(config: Config) -> Problem:
    """Opens and fetches everything that a run needs; what is wrong with it is said before any of it is computed on."""
    _optimizer(config, steps=1)
    content = open_picture(config, config.content.name, config.content.path)
    blend = (open_name_or_path(config, text) for text in config.style.blend)
    styles = (open_picture(config, config.style.name, config.style.path), *blend)
    init = open_picture(config, None, config.init.path) if config.init.kind == "picture" else None
    check_sizes(config, content, styles)
    masks = open_masks(config, content, styles)
    weights_file = weights.locate(config.weights.source, path_of(config.weights.path))
    compared = objective.from_config(config.objective, _extractor(config), config.style)
    layers = up_to_deepest(compared.layers)
    network = _network(weights_file, files.version(weights_file), layers, config.runtime.convolution)
    _check_tuning(config, weights.kind(weights_file))
    return Problem(
        content,
        styles,
        masks,
        init,
        weights_file,
        network=network,
        objective=compared,
        weights=objective.weights_from_config(config.objective, config.style),
    )


_TUNED = {
    "caffe": "give weights.source=caffe-8bit",
    "torchvision": "give weights.source=torchvision weights.path=vgg19-dcbb9e9d.pth",
    "normalized": "give a file of its own as weights.path, or change objective.content_weight and .style_weight",
}


def _check_tuning(config: Config, kind: str) -> None:
    """Says so where the loss weights are for another VGG19 than the one at hand."""
    wanted = config.objective.tuned_for
    if kind not in (wanted, "random"):  # of random ones `locate` warns
        log.warning(
            "preset=%s: its loss weights were tuned for the %s VGG19, these weights are %s: features are on another "
            "scale, so content, style and total variation balance otherwise; for the published balance, %s",
            config.preset, wanted, kind, _TUNED[wanted],
        )  # fmt: skip


@lru_cache(maxsize=1)  # the jobs of a sweep have one network
def _network(file: Path, version: files.Version, layers: tuple[str, ...], algorithm: str) -> Network:
    """The network of a version of a file, with what `convolution.prepare` makes of its layers."""
    network = weights.read(file)
    return network._replace(prepared=convolution.prepare(network.params, layers, algorithm))


def stages(config: Config, problem: Problem, first: int = 0) -> Iterator[Stage]:
    """The scales from the `first` on, each made when the loop comes to it, and not `aimed` yet."""
    for index in range(first, len(config.schedule.scales)):
        share, steps = config.schedule.scales[index], config.schedule.steps[index]
        shape = content_shape(config, problem.content, share)
        photo = resized(config, problem.content, shape)
        content = jnp.asarray(coloring.to_begin_with(config.color, photo))
        shapes = [style_shape(config, number, style, shape) for number, style in enumerate(problem.styles)]
        styles = [_recolored(config, *pair, photo) for pair in zip(problem.styles, shapes, strict=True)]
        make_targets = partial(
            objective.make_targets, problem.plain_network, content, styles, objective=problem.objective,
            style_guides=guides_at(config, problem.masks.of_styles, shapes),
            content_guides=guides_at(config, problem.masks.of_content, [shape] * len(styles)),
        )  # fmt: skip
        keep, targets = problem.masks.kept(shape), make_targets(shapes_only=True)
        yield Stage(index, steps, _optimizer(config, steps), photo, content, keep, make_targets, targets)


def initial(config: Config, problem: Problem, stage: Stage) -> Image:
    """The first image, of the size of the stage's content."""
    scale, mean, _ = problem.network.preprocessing
    shape = stage.content.shape[:2]
    picture = resized(config, problem.init or problem.content, shape)
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


def measured(config: Config, problem: Problem, stage: Stage, shown: images.Pixels) -> dict[str, Any]:
    """The metrics of a finished picture, as one looks at it, to the pictures of a stage in their own colors.

    `optimized` names the probes that the run's own loss has seen: there a small distance says little.
    """
    height, width, _ = shown.shape
    shapes = (style_shape(config, k, style, (height, width)) for k, style in enumerate(problem.styles))
    styles = [resized(config, style, shape) for style, shape in zip(problem.styles, shapes, strict=True)]
    shares = each(config.style.shares or (1.0,), len(styles))
    found = metrics.measured(problem.plain_network, shown.clip(0, 1), stage.photo, styles, shares)
    return {**found, "optimized": [layer for layer in metrics.PROBES if layer in problem.objective.layers]}


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


def _recolored(config: Config, style: Source, shape: tuple[int, ...], photo: AnyPixels) -> Image:
    return jnp.asarray(coloring.recolored(config.color, resized(config, style, shape), photo))


def _optimizer(config: Config, steps: int) -> optimizers.Optimizer:
    name, parameters = config.optimizer.name, config.optimizer.parameters
    optimizer = optimizers.create(name, parameters, steps)
    if config.parametrization.name != "pixels" and "octaves" in parameters:  # it has scales of its own
        optimizer = optimizers.create(name, {**parameters, "octaves": 1}, steps)
    optimizer = optimizers.parametrized(optimizer, parametrizations.create(**asdict(config.parametrization)))
    return optimizers.clamped(optimizer) if config.optimizer.clamp else optimizer


def _extractor(config: Config) -> Extract:
    dtype = "bfloat16" if config.runtime.precision == "bf16" else "float32"
    return extractor(**asdict(config.network), dtype=dtype)
