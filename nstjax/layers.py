"""The layers of VGG19 by name: configuration E of Simonyan & Zisserman (2015), without the classifier.

`conv4_2` is the output of a convolution, `relu4_2` the same after its ReLU, `pool4` the output of block 4's pooling.
Papers write `conv4_2` where their code reads after the ReLU; nstjax always says which of the two it means.
"""

BLOCKS = {1: (2, 64), 2: (2, 128), 3: (4, 256), 4: (4, 512), 5: (4, 512)}  # block: (convolutions, channels)


def _layers() -> dict[str, int]:
    channels: dict[str, int] = {}
    for block, (convolutions, width) in BLOCKS.items():
        for index in range(1, convolutions + 1):
            channels |= {f"conv{block}_{index}": width, f"relu{block}_{index}": width}
        channels[f"pool{block}"] = width
    return channels


CHANNELS = _layers()  # every layer's channels, in the order in which the network computes them


def smallest_side(layer: str, pool_edges: str) -> int:
    """The shortest side in pixels of a picture of which a layer has anything left: each pooling before it halves it."""
    poolings = int(layer[4]) - (not layer.startswith("pool"))
    return 1 if pool_edges == "ceil" else 2**poolings


IMAGE = "image"  # the picture itself, as a layer that losses may read
