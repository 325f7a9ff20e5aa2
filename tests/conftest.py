"""Shapes and types in nstjax's annotations are checked at every call, and JAX refuses to promote ranks.

Strict promotion of types is not on: Optax itself (0.2.8, Adam's bias correction) does not run under it.
"""

import jax
import jaxtyping
from beartype import BeartypeConf, beartype

typechecker = beartype(
    conf=BeartypeConf(is_pep484_tower=True)
)  # an int where a float is asked for, as static checkers do

jaxtyping.install_import_hook("nstjax", "conftest.typechecker")
jax.config.update("jax_numpy_rank_promotion", "raise")
