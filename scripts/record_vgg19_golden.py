"""Records tests/golden/vgg19_torch.npz: VGG19's activations by PyTorch in float64, as a reference for ours.

PyTorch is needed for the recording only, in an environment of its own:

    python -m venv recorder && recorder/bin/pip install torch==2.13.0 numpy safetensors
    weights="$(python -m nstjax.weights fetch)"
    recorder/bin/python scripts/record_vgg19_golden.py "$weights" tests/golden/vgg19_torch.npz

Keys: `picture` [48, 64, 3]; for each case (`max`, `average`: zero padding; `reflect`, `replicate`: that padding before
every convolution, max pooling) and layer, `CASE/LAYER/values`, `CASE/LAYER/rms` and `CASE/LAYER/shape` (h, w, c);
`LAYER/indices`: where the values were taken, into the flattened h w c array.
"""

import json
import sys

import numpy as np
import torch
from safetensors import safe_open
from torch.nn import functional

SAMPLES = 256
PADDED_LAYERS = ("conv1_1", "relu2_2", "relu3_1", "relu4_2", "relu5_1", "pool5")
CASES = {
    "max": ("constant", functional.max_pool2d),
    "average": ("constant", functional.avg_pool2d),
    "reflect": ("reflect", functional.max_pool2d),
    "replicate": ("replicate", functional.max_pool2d),
}


def picture():
    """A 48 x 64 picture in [0, 1]: uniform noise on a coarse grid, enlarged linearly, and a little fine noise."""
    generator = np.random.default_rng(0)
    coarse = torch.from_numpy(generator.uniform(size=(1, 3, 7, 9)))
    smooth = functional.interpolate(coarse, size=(48, 64), mode="bilinear", align_corners=True)[0].numpy()
    fine = generator.uniform(size=(3, 48, 64))
    return (0.9 * smooth + 0.1 * fine).transpose(1, 2, 0).astype(np.float32)


def activations(image, arrays, about, padding, pool):
    """Every conv, ReLU and pool of VGG19 by name, each [c, h, w] in float64."""
    x = torch.from_numpy(image.astype(np.float64)) * about["scale"]
    x = ((x - torch.tensor(about["mean"]).double()) / torch.tensor(about["std"]).double()).permute(2, 0, 1)[None]
    found = {}
    for block, count in ((1, 2), (2, 2), (3, 4), (4, 4), (5, 4)):
        for i in range(1, count + 1):
            kernel, bias = (torch.from_numpy(arrays[f"conv{block}_{i}/{name}"]).double() for name in ("kernel", "bias"))
            x = functional.conv2d(functional.pad(x, (1, 1, 1, 1), padding), kernel.permute(3, 2, 0, 1), bias)
            found[f"conv{block}_{i}"] = x[0]
            x = functional.relu(x)
            found[f"relu{block}_{i}"] = x[0]
        x = pool(x, 2)
        found[f"pool{block}"] = x[0]
    return found


def main(weights, out):
    """Records the activations of a safetensors file of nstjax into an npz."""
    with safe_open(weights, framework="np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = json.loads(file.metadata()["nstjax"])
    image = picture()
    record = {"picture": image}
    for case, (padding, pool) in CASES.items():
        found = activations(image, arrays, about, padding, pool)
        for layer in found if padding == "constant" else PADDED_LAYERS:
            values = found[layer].permute(1, 2, 0).numpy()
            generator = np.random.default_rng(sum(layer.encode()))
            indices = np.sort(generator.choice(values.size, min(SAMPLES, values.size), replace=False)).astype(np.int32)
            record[f"{layer}/indices"] = indices
            record[f"{case}/{layer}/values"] = values.reshape(-1)[indices].astype(np.float32)
            record[f"{case}/{layer}/rms"] = np.sqrt((values**2).mean())
            record[f"{case}/{layer}/shape"] = np.array(values.shape, np.int32)
    np.savez_compressed(out, **record)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
