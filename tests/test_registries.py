"""The names that a configuration may hold are those that the rooms know: no more, no fewer."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from nstjax import config, features, inits, layers, losses, objective, optimizers, weights


def names(schema, key):
    return next(each for each in dataclasses.fields(schema) if each.name == key).metadata["names"]


@pytest.mark.parametrize(
    ("schema", "key", "registry"),
    [
        (config.OptimizerConfig, "name", optimizers.OPTIMIZERS),
        (config.OptimizerConfig, "decay", optimizers.DECAYS),
        (config.NetworkConfig, "pooling", features.POOLINGS),
        (config.LayersConfig, "layers", layers.CHANNELS),
        (config.LayersConfig, "reduction", losses.REDUCTIONS),
        (config.GramConfig, "normalization", losses.GRAM_NORMALIZATIONS),
        (config.GramConfig, "layer_scaling", objective.LAYER_SCALINGS),
        (config.TotalVariationConfig, "form", losses.TOTAL_VARIATIONS),
        (config.InitConfig, "distribution", inits.DISTRIBUTIONS),
    ],
)
def test_a_configs_names_are_its_registrys(schema, key, registry):
    assert set(names(schema, key)) == set(registry)


def test_sources_of_weights():
    """A converted file is given by `weights.path`; that source has no name in a configuration."""
    assert set(names(config.WeightsConfig, "source")) == set(weights.SOURCES) - {"file"}


@pytest.mark.parametrize("kind", names(config.InitConfig, "kind"))
def test_kinds_of_init(kind):
    picture = jnp.full((4, 5, 3), 0.5)
    image = inits.initial(
        kind, jax.random.key(0), content=picture, style=picture, picture=picture,
        center=jnp.zeros(3), amplitude=0.1, distribution="normal", noise_share=0.5,
    )  # fmt: skip
    assert image.shape == picture.shape


@pytest.mark.parametrize("padding", names(config.NetworkConfig, "padding"))
@pytest.mark.parametrize("edges", names(config.NetworkConfig, "pool_edges"))
def test_paddings_and_pool_edges(padding, edges):
    network = weights.load()
    extract = features.extractor(pooling="max", padding=padding, pool_edges=edges)
    assert extract(network, jnp.zeros((4, 5, 3)), ("pool1",))["pool1"].shape[0] == 2
