"""Neural style transfer by image optimisation, in JAX."""

__version__ = "0.1.0"
