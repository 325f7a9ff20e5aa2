"""When an answer is wrong: nothing that is may be timed."""

import math

# By precision: how far a loss may be from the reference's, relative; and the least cosine of the gradients.
TOLERANCES = {
    "highest": (1e-4, 0.99999),
    "high": (1e-3, 0.9999),
    "default": (1e-2, 0.999),
    "bf16": (5e-2, 0.98),
}

# Two correct L-BFGS runs part, because their second step comes from a difference of gradients that is mostly rounding.
SETTLED, WHOLE_RUN = 100, 0.2  # evaluations after which their losses are this near to each other again, relative


class WrongAnswerError(Exception):
    """A variant whose answer differs from the reference."""


def difference(value: float, reference: float) -> float:
    """Relative."""
    return abs(value - reference) / abs(reference) if math.isfinite(value) else math.inf


def check_loss(name: str, loss: float, reference: float, allowed: float) -> float:
    """Returns the relative difference. Raises WrongAnswerError: it is larger than allowed, or the loss no number."""
    off = difference(loss, reference)
    if not off <= allowed:
        losses = f"its loss is {loss:.8g}, the reference's {reference:.8g}"
        raise WrongAnswerError(f"{name}: {losses}: off by {off:.2g} ({allowed:g} allowed)")
    return off


def check_cosine(name: str, cosine: float, least: float) -> float:
    """Returns the cosine of its gradient with the reference's. Raises WrongAnswerError: too small, or no number."""
    if not cosine >= least:
        found = f"its gradient's cosine with the reference's is {cosine:.7f}"
        raise WrongAnswerError(f"{name}: {found} (at least {least} needed)")
    return cosine
