"""VGG19's features: PyTorch's values on real weights, no layer deeper than asked, pools of odd maps by their rule."""

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nstjax import weights
from nstjax.convolution import COMPILER, prepare
from nstjax.features import VGG19, extract, extractor, up_to_deepest
from nstjax.layers import CHANNELS
from nstjax.types import Preprocessing

GOLDEN = np.load(Path(__file__).parent / "golden" / "vgg19_torch.npz")
PADDED_LAYERS = ("conv1_1", "relu2_2", "relu3_1", "relu4_2", "relu5_1", "pool5")


@pytest.fixture(scope="module")
def network():
    return weights.load("caffe-8bit")


def noise(height, width):
    return jnp.asarray(np.random.default_rng(0).uniform(size=(height, width, 3)), jnp.float32)


@pytest.mark.parametrize(
    ("case", "settings", "layers"),
    [
        ("max", {}, tuple(CHANNELS)),
        ("average", {"pooling": "average"}, tuple(CHANNELS)),
        ("reflect", {"padding": "reflect"}, PADDED_LAYERS),
        ("replicate", {"padding": "replicate"}, PADDED_LAYERS),
    ],
)
def test_every_layer_has_pytorchs_values(network, case, settings, layers):
    """Recorded in float64; float32 comes within a hundred thousandth of the layer's root mean square.

    Behind all 16 layers, padded with pixels, within two: there it depends on the order of sums, so on the processor.
    """
    run = jax.jit(lambda network, image: extract(network, image, layers, **settings), compiler_options=COMPILER)
    for layer, found in run(network, jnp.asarray(GOLDEN["picture"])).items():
        expected, rms = GOLDEN[f"{case}/{layer}/values"], GOLDEN[f"{case}/{layer}/rms"]
        assert found.shape == tuple(GOLDEN[f"{case}/{layer}/shape"])
        error = np.abs(np.asarray(found).reshape(-1)[GOLDEN[f"{layer}/indices"]] - expected).max() / rms
        assert error < (2e-5 if layer == "pool5" and "padding" in settings else 1e-5), (layer, error)
        np.testing.assert_allclose(np.sqrt(np.mean(np.square(found, dtype=np.float64))), rms, rtol=1e-5)


@pytest.mark.parametrize(
    ("layers", "convolutions"),
    [((), 0), (("conv1_1",), 1), (("relu3_1", "relu1_2"), 5), (("pool3",), 8), (("relu4_2", "relu5_1"), 13)],
)
def test_nothing_deeper_than_the_deepest_layer_is_computed(network, layers, convolutions):
    program = str(jax.make_jaxpr(lambda network, image: extract(network, image, layers))(network, noise(32, 32)))
    assert program.count("conv_general_dilated[") == convolutions


def test_layers_come_by_name_with_their_channels(network):
    features = extract(network, noise(17, 16), ("relu2_1", "conv1_2"))
    assert {name: each.shape for name, each in features.items()} == {"conv1_2": (17, 16, 64), "relu2_1": (8, 8, 128)}


def test_an_unknown_layer_is_a_key_error(network):
    with pytest.raises(KeyError, match="relu6_1"):
        extract(network, noise(8, 8), ("relu6_1",))


def pooled(x, reduction, edges):
    """Every 2 x 2 window, cut off at the border, on its own."""
    height, width, channels = x.shape
    count = {"floor": math.floor, "ceil": math.ceil}[edges]
    out = np.zeros((count(height / 2), count(width / 2), channels))
    for i, j in np.ndindex(*out.shape[:2]):
        out[i, j] = reduction(x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2], axis=(0, 1))
    return out


@pytest.mark.parametrize("edges", ["floor", "ceil"])
@pytest.mark.parametrize(("pooling", "reduction"), [("max", np.max), ("average", np.mean)])
@pytest.mark.parametrize("size", [(7, 5), (6, 5), (6, 8)])
def test_an_odd_last_row_is_dropped_or_pooled_alone(network, pooling, reduction, edges, size):
    """Alone: TensorFlow's SAME, whose average doesn't count what lies beyond the border."""
    features = extract(network, noise(*size), ("relu1_2", "pool1"), pooling=pooling, pool_edges=edges)
    expected = pooled(np.asarray(features["relu1_2"], np.float64), reduction, edges)
    np.testing.assert_allclose(features["pool1"], expected, rtol=1e-6)


def test_a_setting_has_one_extractor():
    """Static arguments of `jax.jit` are compared by identity: two of them would compile twice."""
    setting = {"pooling": "average", "pool_edges": "ceil", "padding": "reflect"}
    assert extractor(**setting) is extractor(**setting)
    assert extractor(**setting) is not extractor(**{**setting, "pooling": "max"})
    assert extractor() is extractor("max") is extractor(pooling="max")


def test_an_extractor_has_its_settings(network):
    setting = {"pooling": "average", "pool_edges": "ceil", "padding": "replicate"}
    image, layers = noise(9, 7), ("pool1",)
    expected = extract(network, image, layers, **setting)["pool1"]
    np.testing.assert_array_equal(extractor(**setting)(network, image, layers)["pool1"], expected)


def test_another_convolution_can_be_injected(network):
    """The custom gradient of the default changes nothing but speed."""
    image, params = noise(12, 10) * 255 - 128, {"params": network.params}

    def gradient(**settings):
        return jax.grad(lambda x: (VGG19(("relu2_1",), **settings).apply(params, x)["relu2_1"] ** 2).mean())(image)

    ours, theirs = gradient(), gradient(convolution=jax.lax.conv_general_dilated)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * jnp.abs(theirs).max())


@pytest.mark.parametrize(
    "settings",
    [
        {"pool_edges": "ceil", "padding": "replicate_first"},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"pooling": "average", "padding": "reflect"}, marks=pytest.mark.slow),
    ],
)
def test_prepared_kernels_change_neither_features_nor_gradient(network, settings):
    image, layers = noise(37, 42), ("conv2_2", "relu3_1", "pool3")
    fast = network._replace(prepared=prepare(network.params, up_to_deepest(layers), "winograd"))
    assert set(fast.prepared) == {layer for layer in up_to_deepest(layers) if layer.startswith("conv")} - {"conv1_1"}

    @jax.jit
    def computed(network):
        def loss(image):
            features = extract(network, image, layers, **settings)
            return sum((feature_map**2).mean() for feature_map in features.values()), features

        gradient, features = jax.grad(loss, has_aux=True)(image)
        return gradient, features

    (ours, features), (theirs, expected) = computed(fast), computed(network)
    for layer in layers:
        np.testing.assert_allclose(features[layer], expected[layer], atol=2e-5 * jnp.abs(expected[layer]).max())
    ours, theirs = (np.ravel(gradient).astype(float) for gradient in (ours, theirs))
    assert ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) > 0.999999


def test_what_is_asked_for_between_a_convolution_and_its_pooling_is_the_same(network):
    """Whether or not they are computed in one go."""
    image, layers = noise(20, 26), ("conv1_2", "relu1_2", "pool1", "conv2_1", "relu2_1")
    fast = network._replace(prepared=prepare(network.params, up_to_deepest(layers), "winograd"))
    together = extract(network, image, layers)
    for layer in layers:
        alone = extract(fast, image, (layer,))[layer]
        np.testing.assert_allclose(alone, together[layer], atol=1e-5 * jnp.abs(together[layer]).max())


def test_replicating_first_repeats_the_border_of_the_picture_alone(network):
    """As if conv1_1 were of the "replicate" network, and all that comes after of the "zero" one."""
    image = noise(9, 12)
    first, zero, replicate = (
        extract(network, image, ("relu1_1", "relu1_2"), padding=padding)
        for padding in ("replicate_first", "zero", "replicate")
    )
    np.testing.assert_array_equal(first["relu1_1"], replicate["relu1_1"])
    kernel, bias = (np.asarray(network.params["conv1_2"][name], np.float64) for name in ("kernel", "bias"))
    surrounded = np.pad(np.asarray(first["relu1_1"], np.float64), ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(surrounded, (3, 3), (0, 1))
    expected = np.maximum(np.einsum("hwiyx,yxio->hwo", windows, kernel) + bias, 0)
    np.testing.assert_allclose(first["relu1_2"], expected, rtol=1e-4, atol=1e-3)
    assert jnp.abs(first["relu1_2"] - zero["relu1_2"]).max() > 1


def test_levels_are_pixels_from_0_to_255_less_the_mean_color(network):
    """Whatever the network was trained on; for Simonyan & Zisserman's it is its own."""
    image, own = noise(6, 7), Preprocessing(jnp.float32(2), jnp.float32([0.5, 0.6, 0.7]), jnp.float32([0.1, 0.2, 0.3]))
    another = network._replace(preprocessing=own)
    by_hand = Preprocessing(jnp.float32(255), jnp.float32([63.75, 76.5, 89.25]), jnp.ones(3))
    found = extract(another, image, ("conv1_1",), preprocessing="levels")["conv1_1"]
    expected = extract(network._replace(preprocessing=by_hand), image, ("conv1_1",))["conv1_1"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
    as_trained, levels = (
        extract(network, image, ("conv1_1",), preprocessing=each)["conv1_1"] for each in ("own", "levels")
    )
    np.testing.assert_allclose(levels, as_trained, rtol=1e-5, atol=1e-3)
