"""Values that are right one by one and contradict each other."""

from typing import Any

from nstjax.config.fields import LARGEST
from nstjax.config.objective import ObjectiveConfig
from nstjax.config.schema import REST, Config, OptimizerConfig, ScheduleConfig
from nstjax.errors import UserError


def check_consistency(config: Config) -> None:
    """Raises a UserError where values of a configuration contradict each other."""
    _check_pictures(config)
    _check_styles(config)
    _check_objective(config.objective)
    _check_schedule(config.schedule)
    _check_optimizer(config.optimizer)


def _check_pictures(config: Config) -> None:
    if len(config.background) != 3:
        raise UserError(f"background={list(config.background)} is no color; give its red, green and blue, as [1,1,1]")
    paths = {"content": config.content.path, "style": config.style.path, "init": config.init.path}
    for key, path in {**paths, "weights": config.weights.path}.items():
        if path == "":
            raise UserError(f"{key}.path is empty; give a file, or leave the key out")
    if config.content.keep == "":
        raise UserError("content.keep is empty; give a file, or leave the key out")
    if config.init.kind == "picture" and not config.init.path:
        raise UserError("init=picture needs the picture's file: give init.path=FILE")


def _check_styles(config: Config) -> None:
    style, compared = config.style, config.objective.style.layers
    for key in ("shares", "scale", "layers", "mask", "region"):
        _check_lengths("style and style.blend", (style.path, *style.blend), f"style.{key}", getattr(style, key))
    if style.shares and sum(style.shares) == 0:
        raise UserError("style.shares are all zero; give at least one style a share")
    for i, layers in enumerate(style.layers):
        if others := [layer for layer in layers if layer not in compared]:
            raise UserError(f"style.layers[{i}] names {others[0]}, but objective.style.layers doesn't; add it there")
    for key, files in (("mask", style.mask), ("region", style.region)):
        if "" in files:
            raise UserError(f"style.{key}[{files.index('')}] is empty; give a file, or null for the whole picture")
    if REST in style.region and not set(style.region) - {REST, None}:
        raise UserError(f"style.region={REST} is what no other region is; give another style the picture of a region")
    for key, empty in (
        ("scale", not style.scale),
        ("blend", "" in style.blend),
        ("fine.picture", style.fine.picture == ""),
    ):
        if empty:
            raise UserError(f"style.{key} is empty; give one, or leave the key out")
    if style.fine.picture and not set(style.fine.layers) & set(compared):
        given = ",".join(style.fine.layers)
        raise UserError(f"style.fine.layers=[{given}]: none of them is in objective.style.layers; give one that is")
    if style.size and config.sizing.style == "content":
        raise UserError("style.size and sizing.style=content contradict each other; give one of them")


def _check_objective(objective: ObjectiveConfig) -> None:
    content, style, pools = objective.content, objective.style, objective.laplacian.pools
    if not (content.layers or style.layers or pools):
        raise UserError("neither objective.content.layers nor objective.style.layers names a layer; name at least one")
    if not style.statistic:
        raise UserError("objective.style.statistic is empty; give one for all layers, or one for each")
    _check_lengths("objective.style.layers", style.layers, "objective.style.statistic", style.statistic)
    compared = tuple(zip(style.layers, style.statistics(), strict=True))
    weighted = (
        ("content", content, content.layers, objective.content_weight),
        ("style", style, compared, objective.style_weight),
    )
    for name, each, terms, weight in weighted:
        key = f"objective.{name}"
        _check_lengths(f"{key}.layers", each.layers, f"{key}.layer_weights", each.layer_weights)
        if weight * max(each.layer_weights, default=1) > LARGEST:
            raise UserError(f"{key}_weight times {key}.layer_weights is beyond {LARGEST:g}; give less")
        if len(set(terms)) < len(terms):
            raise UserError(f"{key}.layers names a layer twice; name it once, and give it the sum of the weights")
    if len(set(pools)) < len(pools):
        raise UserError(f"objective.laplacian.pools={list(pools)} has a number twice; give it once")


def _check_optimizer(optimizer: OptimizerConfig) -> None:
    if optimizer.clamp and optimizer.name == "lbfgs":
        raise UserError("optimizer.clamp=true would cut steps that lbfgs remembers whole; choose another optimizer")
    if optimizer.decay == "exponential" and optimizer.final == 0:
        raise UserError("optimizer.decay=exponential never reaches optimizer.final=0; give a share above 0, as 0.01")


def _check_schedule(schedule: ScheduleConfig) -> None:
    if not (schedule.scales and schedule.steps):
        raise UserError("schedule.scales or schedule.steps is empty; give at least one scale, and its steps")
    if len(schedule.scales) != len(schedule.steps):
        counts = f"{len(schedule.steps)} entries for the {len(schedule.scales)} of schedule.scales"
        raise UserError(f"schedule.steps has {counts}; give one for each")


def _check_lengths(key: str, values: tuple[Any, ...], other_key: str, others: tuple[Any, ...]) -> None:
    if len(others) not in (0, 1, len(values)):
        counts = f"{len(others)} entries for the {len(values)} of {key}"
        raise UserError(f"{other_key} has {counts}; give one for each, or one for all")
