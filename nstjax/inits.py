"""Where the optimisation starts: the content, the style, noise, a mixture, or a picture of one's own."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from nstjax.types import Image

DISTRIBUTIONS: Mapping[str, Callable[..., Array]] = {
    "normal": jax.random.normal,
    "uniform": lambda key, shape: jax.random.uniform(key, shape, minval=-1.0, maxval=1.0),
}


def noise(key: PRNGKeyArray, like: Image, *, center: Float[Array, "3"], amplitude: float, distribution: str) -> Image:
    """Noise around one color: `amplitude` is its standard deviation, or half its width if uniform.

    The papers' code draws noise where the network's mean color is zero; so `center` is that mean.
    """
    return jnp.broadcast_to(center, like.shape) + amplitude * DISTRIBUTIONS[distribution](key, like.shape)


def mixed(noise: Image, content: Image, noise_share: float) -> Image:
    """noise_share * noise + (1 - noise_share) * content. Source: the deeplearning.ai course (2017), with 0.6."""
    return noise_share * noise + (1 - noise_share) * content


def statistics(key: PRNGKeyArray, like: Image, style: Image) -> Image:
    """Normal noise with the style's mean and standard deviation in each channel. Source: style-transfer-pytorch.

    Differs from style-transfer-pytorch: clipped to [0, 1], not drawn from a truncated normal distribution.
    """
    mean, std = (jnp.broadcast_to(each((0, 1)), like.shape) for each in (style.mean, style.std))
    drawn = mean + std * jax.random.normal(key, like.shape)
    return jnp.clip(drawn, 0, 1)


def kept(image: Image, content: Image, mask: Float[Array, "h w"]) -> Image:
    """The content where the mask is 1, the image where it is 0, and in between a mixture of the two."""
    share = mask[..., None]
    return share * content + (1 - share) * image


def initial(
    kind: str,
    key: PRNGKeyArray,
    *,
    content: Image,
    style: Image,
    picture: Image,
    center: Float[Array, "3"],
    amplitude: float,
    distribution: str,
    noise_share: float,
) -> Image:
    """The first image, of the content's shape, which `style` and `picture` have too; `key` makes everything random."""

    def noisy() -> Image:
        return noise(key, content, center=center, amplitude=amplitude, distribution=distribution)

    return {
        "content": lambda: content,
        "style": lambda: style,
        "picture": lambda: picture,
        "noise": noisy,
        "mixed": lambda: mixed(noisy(), content, noise_share),
        "statistics": lambda: statistics(key, content, style),
    }[kind]()
