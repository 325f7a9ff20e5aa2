"""The names that a configuration may hold are those that the rooms know: no more, no fewer."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from nstjax import features, inits, layers, losses, objective, optimizers, statistics, weights
from nstjax.config import schema


def names(group, key):
    return next(each for each in dataclasses.fields(group) if each.name == key).metadata["names"]


@pytest.mark.parametrize(
    ("group", "key", "registry"),
    [
        (schema.OptimizerConfig, "name", optimizers.OPTIMIZERS),
        (schema.OptimizerConfig, "decay", optimizers.DECAYS),
        (schema.NetworkConfig, "pooling", features.POOLINGS),
        (schema.LayersConfig, "layers", layers.CHANNELS),
        (schema.LayersConfig, "reduction", losses.REDUCTIONS),
        (schema.StyleTermsConfig, "statistic", statistics.STATISTICS),
        (schema.StyleTermsConfig, "normalization", statistics.GRAM_NORMALIZATIONS),
        (schema.StyleTermsConfig, "layer_scaling", objective.LAYER_SCALINGS),
        (schema.TotalVariationConfig, "form", losses.TOTAL_VARIATIONS),
        (schema.InitConfig, "distribution", inits.DISTRIBUTIONS),
    ],
)
def test_a_configs_names_are_its_registrys(group, key, registry):
    assert set(names(group, key)) == set(registry)


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
