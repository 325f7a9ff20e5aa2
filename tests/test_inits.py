"""First images: what their noise is like, and that a key is all that it depends on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nstjax import inits

CENTER = jnp.asarray([0.485, 0.458, 0.408])
KINDS = ["content", "style", "picture", "noise", "mixed", "statistics"]


def picture(seed, height=6, width=5):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=(height, width, 3)), jnp.float32)


def initial(kind, seed=0, **changes):
    settings = {"amplitude": 0.1, "distribution": "normal", "noise_share": 0.6} | changes
    pictures = {"content": picture(1), "style": picture(2), "picture": picture(3)}
    return inits.initial(kind, jax.random.key(seed), **pictures, center=CENTER, **settings)


@pytest.mark.parametrize(("kind", "seed"), [("content", 1), ("style", 2), ("picture", 3)])
def test_a_picture_is_taken_as_it_is(kind, seed):
    np.testing.assert_array_equal(initial(kind), picture(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_one_key_one_image(kind):
    assert initial(kind).tobytes() == initial(kind).tobytes()
    assert (initial(kind).tobytes() == initial(kind, seed=1).tobytes()) == (kind in ("content", "style", "picture"))


@pytest.mark.parametrize(("distribution", "deviation"), [("normal", 1), ("uniform", 3**-0.5)])
def test_noise_lies_around_the_center_with_its_amplitude(distribution, deviation):
    """Within five standard errors of 40 000 numbers in each channel."""
    like = jnp.zeros((200, 200, 3))
    noise = (
        inits.noise(jax.random.key(0), like, center=CENTER, amplitude=0.2, distribution=distribution)
        - CENTER[None, None]
    )
    spread = 0.2 * deviation
    np.testing.assert_allclose(noise.mean((0, 1)), 0, atol=5 * spread / 200)
    np.testing.assert_allclose(noise.std((0, 1)), spread, rtol=0.02)
    assert (jnp.abs(noise).max() <= 0.2 + 1e-6) == (distribution == "uniform")
    assert jnp.abs(noise).max() > 0.199


def test_noise_without_amplitude_is_the_center():
    np.testing.assert_array_equal(initial("noise", amplitude=0.0), np.broadcast_to(CENTER, (6, 5, 3)))


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_a_mixture_is_noise_and_content_by_their_shares(share):
    expected = share * np.asarray(initial("noise"), np.float64) + (1 - share) * np.asarray(picture(1), np.float64)
    np.testing.assert_allclose(initial("mixed", noise_share=share), expected, rtol=1e-6, atol=1e-7)


def test_statistics_are_the_styles_in_each_channel():
    """So narrow a style that clipping hardly matters."""
    widths, centers = jnp.asarray([[[0.1, 0.2, 0.3]]]), jnp.asarray([[[0.3, 0.5, 0.6]]])
    style = centers + widths * (picture(2, 200, 200) - 0.5)
    drawn = inits.statistics(jax.random.key(0), jnp.zeros((200, 200, 3)), style)
    np.testing.assert_allclose(drawn.mean((0, 1)), style.mean((0, 1)), atol=0.003)
    np.testing.assert_allclose(drawn.std((0, 1)), style.std((0, 1)), rtol=0.02)


def test_statistics_are_clipped_to_what_a_picture_can_hold():
    drawn = inits.statistics(jax.random.key(0), jnp.zeros((50, 50, 3)), jnp.round(picture(2, 50, 50)))
    assert (drawn.min(), drawn.max()) == (0, 1)


def test_what_is_kept_is_the_contents_to_the_bit_and_soft_edges_are_mixtures():
    image, content = picture(2), picture(1)
    mask = jnp.zeros((6, 5)).at[0].set(1.0).at[1].set(0.25)
    mixed = inits.kept(image, content, mask)
    np.testing.assert_array_equal(mixed[0], content[0])
    np.testing.assert_allclose(mixed[1], 0.25 * content[1] + 0.75 * image[1], rtol=1e-6)
    np.testing.assert_array_equal(mixed[2:], image[2:])
