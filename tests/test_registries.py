"""The names that a configuration may hold are those that the rooms know: no more, no fewer."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from small_runs import REPOSITORY

from nstjax import (
    color,
    features,
    guides,
    inits,
    layers,
    losses,
    objective,
    optimizers,
    outputs,
    parametrizations,
    statistics,
    weights,
)
from nstjax.config import objective as compared
from nstjax.config import schema


def names(group, key):
    return next(each for each in dataclasses.fields(group) if each.name == key).metadata["names"]


@pytest.mark.parametrize(
    ("group", "key", "registry"),
    [
        (schema.OptimizerConfig, "name", optimizers.OPTIMIZERS),
        (schema.OptimizerConfig, "decay", optimizers.DECAYS),
        (schema.ParametrizationConfig, "name", parametrizations.PARAMETRIZATIONS),
        (schema.NetworkConfig, "pooling", features.POOLINGS),
        (compared.LayersConfig, "layers", layers.CHANNELS),
        (compared.LayersConfig, "reduction", losses.REDUCTIONS),
        (schema.StyleConfig, "propagation", guides.PROPAGATIONS),
        (compared.StyleTermsConfig, "statistic", statistics.STATISTICS),
        (compared.StyleTermsConfig, "normalization", statistics.GRAM_NORMALIZATIONS),
        (compared.StyleTermsConfig, "layer_scaling", objective.LAYER_SCALINGS),
        (compared.TotalVariationConfig, "form", losses.TOTAL_VARIATIONS),
        (schema.InitConfig, "distribution", inits.DISTRIBUTIONS),
        (schema.ColorConfig, "space", color.SPACES),
        (schema.ColorConfig, "map", color.MAPS),
        (schema.OutputConfig, "writers", outputs.WRITERS),
    ],
)
def test_a_configs_names_are_its_registrys(group, key, registry):
    assert set(names(group, key)) == set(registry)


def test_every_statistic_has_its_file():
    """With the style weight that suits it."""
    assert {file.stem for file in (REPOSITORY / "configs/statistic").iterdir()} == set(statistics.STATISTICS)


def test_sources_of_weights():
    """A converted file is given by `weights.path`; that source has no name in a configuration."""
    assert set(names(schema.WeightsConfig, "source")) == set(weights.SOURCES) - {"file"}


@pytest.mark.parametrize("kind", names(schema.InitConfig, "kind"))
def test_kinds_of_init(kind):
    picture = jnp.full((4, 5, 3), 0.5)
    image = inits.initial(
        kind, jax.random.key(0), content=picture, style=picture, picture=picture,
        center=jnp.zeros(3), amplitude=0.1, distribution="normal", noise_share=0.5,
    )  # fmt: skip
    assert image.shape == picture.shape


@pytest.mark.parametrize("padding", names(schema.NetworkConfig, "padding"))
@pytest.mark.parametrize("edges", names(schema.NetworkConfig, "pool_edges"))
@pytest.mark.parametrize("preprocessing", names(schema.NetworkConfig, "preprocessing"))
def test_what_a_network_is_run_with(padding, edges, preprocessing):
    network = weights.load()
    extract = features.extractor(pooling="max", padding=padding, pool_edges=edges, preprocessing=preprocessing)
    assert extract(network, jnp.zeros((4, 5, 3)), ("pool1",))["pool1"].shape[0] == 2
