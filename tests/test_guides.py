"""Guides: what probing the real network with noise finds, level by level of a soft mask, and never beyond [0, 1]."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nstjax import weights
from nstjax.features import extractor
from nstjax.guides import PROPAGATIONS, propagated
from nstjax.layers import CHANNELS

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
GEOMETRIES = [
    ("zero", "floor"),
    ("reflect", "ceil"),
    pytest.param("zero", "ceil", marks=pytest.mark.slow),
    pytest.param("replicate", "floor", marks=pytest.mark.slow),
]

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(32, 61)
EDGES = st.sampled_from(["floor", "ceil"])
quick = settings(max_examples=25, deadline=None)


def guides(mask, layers=STYLE_LAYERS, propagation="simple", edges="floor", extend=0):
    return propagated(mask, layers, propagation=propagation, pool_edges=edges, extend=extend)


def soft_mask(seed, height=48, width=40):
    """Blotches of every gray, with some black and some white."""
    noise = np.random.default_rng(seed).normal(size=(height, width))
    smooth = ndimage.gaussian_filter(noise, 5)
    return (0.5 + smooth / (2 * smooth.std())).clip(0, 1).astype(np.float32)


def half(height, width):
    """The upper half, with a slanted edge."""
    rows, columns = np.mgrid[:height, :width]
    return (rows < height / 2 - 0.3 * columns).astype(np.float32)


def seen(network, where, layers, padding, edges):
    """The positions whose features change when the pixels do that are 1 in `where`: what Gatys' code asks a network."""
    height, width = where.shape
    extract = jax.jit(extractor(pooling="average", padding=padding, pool_edges=edges), static_argnums=2)
    generator, changed = np.random.default_rng(0), dict.fromkeys(layers, False)
    image = generator.uniform(size=(height, width, 3))
    before = extract(network, jnp.float32(image), layers)
    for _ in range(2):
        noisy = image + where[:, :, None] * generator.normal(0, 3, (height, width, 3))
        for layer, after in extract(network, jnp.float32(noisy), layers).items():
            changed[layer] |= np.asarray(after != before[layer]).any(2)
    return changed


@pytest.fixture(scope="module")
def network():
    return weights.load("caffe-8bit")


@pytest.mark.parametrize(("padding", "edges"), GEOMETRIES)
def test_inside_sees_no_pixel_of_elsewhere_and_all_sees_some_of_the_region(network, padding, edges):
    """Exactly these positions: no feature of any other one stays, or changes."""
    region = half(235, 45)
    outside = seen(network, 1 - region, STYLE_LAYERS, padding, edges)
    of_region = seen(network, region, STYLE_LAYERS, padding, edges)
    inside, every = (guides(region, propagation=kind, edges=edges) for kind in ("inside", "all"))
    for layer in STYLE_LAYERS:
        assert set(np.unique(inside[layer])) == set(np.unique(every[layer])) == {0.0, 1.0}
        np.testing.assert_array_equal(inside[layer] == 1, ~outside[layer])
        np.testing.assert_array_equal(every[layer] == 1, of_region[layer])


@quick
@given(SEEDS, SIDES, SIDES, EDGES)
def test_guides_are_in_order_and_never_beyond_0_and_1(seed, height, width, edges):
    mask = soft_mask(seed, height, width)
    inside, simple, every = (guides(mask, tuple(CHANNELS), kind, edges) for kind in ("inside", "simple", "all"))
    for layer in CHANNELS:
        assert inside[layer].min() >= 0
        assert (inside[layer] <= simple[layer] + 1e-6).all()
        assert (simple[layer] <= every[layer] + 1e-6).all()
        assert every[layer].max() <= 1


@pytest.mark.parametrize("propagation", PROPAGATIONS)
@pytest.mark.parametrize("edges", ["floor", "ceil"])
def test_a_guide_has_the_height_and_width_of_its_layers_map(network, edges, propagation):
    layers, mask = tuple(CHANNELS), soft_mask(0, 53, 39)
    features = jax.eval_shape(
        lambda image: extractor(pool_edges=edges)(network, image, layers), jax.ShapeDtypeStruct((53, 39, 3), "float32")
    )
    found = guides(mask, layers, propagation, edges)
    assert {layer: guide.shape for layer, guide in found.items()} == {
        layer: each.shape[:2] for layer, each in features.items()
    }


@pytest.mark.parametrize("propagation", PROPAGATIONS)
@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_a_mask_of_one_value_is_a_guide_of_it(propagation, value):
    for guide in guides(np.full((37, 33), value, np.float32), propagation=propagation, edges="ceil").values():
        np.testing.assert_array_equal(guide, np.full_like(guide, value))


@quick
@given(SEEDS, st.floats(0.01, 0.99), st.sampled_from(["inside", "all"]))
def test_a_soft_mask_is_every_of_its_levels_at_once(seed, level, propagation):
    """Whether a position sees only pixels (or any pixel) above a level is whether its guide is above it."""
    mask = soft_mask(seed)
    soft = guides(mask, propagation=propagation)
    hard = guides((mask >= np.float32(level)).astype(np.float32), propagation=propagation)
    for layer in STYLE_LAYERS:
        np.testing.assert_array_equal(soft[layer] >= np.float32(level), hard[layer] == 1)


@quick
@given(SEEDS)
def test_all_of_a_region_is_what_is_not_inside_of_the_rest(seed):
    mask = soft_mask(seed)
    every, inside = guides(mask, propagation="all"), guides(1 - mask, propagation="inside")
    for layer in STYLE_LAYERS:
        np.testing.assert_allclose(every[layer], 1 - inside[layer], atol=1e-6)


@quick
@given(SEEDS)
def test_simple_is_the_share_of_the_region_in_the_cell_of_a_position(seed):
    mask = soft_mask(seed, 48, 40)
    for layer, cell in zip(STYLE_LAYERS, (1, 2, 4, 8), strict=False):
        cells = mask.reshape(48 // cell, cell, 40 // cell, cell).mean((1, 3))
        np.testing.assert_allclose(guides(mask)[layer], cells, atol=1e-6)


@pytest.mark.parametrize(("extend", "filtered"), [(3, ndimage.maximum_filter), (-2, ndimage.minimum_filter)])
def test_extended_guides_grow_or_shrink_at_every_layer(extend, filtered):
    mask = soft_mask(1)
    plain, extended = guides(mask), guides(mask, extend=extend)
    for layer in STYLE_LAYERS:
        expected = filtered(plain[layer], size=2 * abs(extend) + 1, mode="nearest")
        np.testing.assert_array_equal(extended[layer], expected)
