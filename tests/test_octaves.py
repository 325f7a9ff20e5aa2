"""Octaves of an image's frequencies: together they are the image, apart each is a filter."""

import jax.numpy as jnp
import numpy as np
import pytest

from nstjax.octaves import norms, scaled

SIZES = pytest.mark.parametrize("shape", [(16, 16, 3), (7, 12, 3), (12, 7, 3), (1, 9, 3), (9, 1, 3), (1, 1, 3)])


def noise(shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def only(number, count):
    return jnp.asarray(np.eye(count, dtype=np.float32)[number])


def whole_spectrum(image, number, count):
    """An octave by the complex transform of everything, frequency by frequency."""
    height, width, _ = image.shape
    spectrum = np.fft.fft2(np.float64(image), axes=(0, 1))
    for row, column in np.ndindex(height, width):
        frequency = np.hypot(min(row, height - row) / height, min(column, width - column) / width)
        lowest, highest = 0.5**0.5 / 2 ** (number + 1), 0.5**0.5 / 2**number
        if not (lowest < frequency or number == count - 1) or not (frequency <= highest or number == 0):
            spectrum[row, column] = 0
    return np.fft.ifft2(spectrum, axes=(0, 1)).real


@SIZES
def test_an_octave_is_the_part_of_the_spectrum_between_two_frequencies(shape):
    image = noise(shape)
    for number in range(3):
        np.testing.assert_allclose(scaled(image, only(number, 3)), whole_spectrum(image, number, 3), atol=1e-5)


@SIZES
def test_norms_are_those_of_the_parts(shape):
    image = noise(shape)
    parts = [scaled(image, only(number, 3)) for number in range(3)]
    np.testing.assert_allclose(norms(image, 3), [np.linalg.norm(part) for part in parts], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.sum(np.square(norms(image, 3))), np.sum(np.square(image)), rtol=1e-5)


@pytest.mark.parametrize(("wave", "octave"), [(2, 0), (4, 1), (8, 2), (16, 3), (32, 3), (np.inf, 3)])
def test_each_octave_has_waves_twice_as_long_and_the_last_all_longer(wave, octave):
    across = jnp.cos(2 * jnp.pi * jnp.arange(64) / wave)
    image = jnp.broadcast_to(across[None, :, None], (32, 64, 3))
    assert np.argmax(norms(image, 4)) == np.argmax(norms(image.swapaxes(0, 1), 4)) == octave
    np.testing.assert_allclose(norms(image, 4)[octave], np.linalg.norm(image), rtol=1e-5)


def test_factors_of_one_change_nothing():
    np.testing.assert_allclose(scaled(noise((7, 12, 3)), jnp.ones(5)), noise((7, 12, 3)), atol=1e-6)


@pytest.mark.parametrize("shape", [(5,), (4, 6, 3)])
def test_a_single_octave_is_anything_at_all_to_the_bit(shape):
    np.testing.assert_array_equal(scaled(noise(shape), jnp.full(1, 3.0)), 3 * noise(shape))
    np.testing.assert_allclose(norms(noise(shape), 1), [np.linalg.norm(noise(shape))], rtol=1e-6)


def test_norms_of_half_precision_are_summed_in_float32():
    image = jnp.ones((64, 64, 3), jnp.bfloat16)
    for count in (1, 4):
        assert norms(image, count).dtype == jnp.float32
        np.testing.assert_allclose(norms(image, count)[-1], np.sqrt(image.size), rtol=1e-6)
