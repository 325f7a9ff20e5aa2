"""The worker that runs PyTorch: the same network and loss, and the pastiche program. It needs no JAX, no nstjax."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmark import protocol

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
MODES: dict[str, Callable[[Any], Any]] = {
    "eager": lambda loss: loss,
    "compiled": torch.compile,
    "CUDA graphs": lambda loss: torch.compile(loss, mode="reduce-overhead"),
}
LAYOUTS = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}


class Side:
    """One variant of the loss, or pastiche."""

    def about(self) -> dict[str, Any]:
        """The device, and the versions."""
        device = torch.cuda.get_device_name() if CUDA else "cpu"
        return {"device": device, "versions": {"torch": torch.__version__}}

    def build(self, problem: str, mode: str, layout: str, precision: str, threads: int) -> dict[str, float]:
        """Compiles what `evaluate` runs."""
        _set_up(precision, threads)
        self.layout = LAYOUTS[layout]
        self.loss, pictures = _loss(problem, self.layout, precision)
        self.loss, self.content = MODES[mode](self.loss), pictures["content"]
        self.image = pictures["image"].requires_grad_()
        first, _ = self._evaluated(1)
        again, loss = self._evaluated(1)
        return {"compile": first - again, "seconds": again, "loss": loss}

    def evaluate(self, evaluations: int) -> dict[str, Any]:
        """Seconds of each of some evaluations: forward and backward."""
        seconds, loss = self._evaluated(evaluations)
        peak = torch.cuda.max_memory_allocated() if CUDA else None
        return {"seconds": seconds / evaluations, "loss": loss, "device_peak_bytes": peak}

    def gradient(self, path: str) -> None:
        """Writes the gradient of the image that was evaluated last."""
        np.save(path, self.image.grad[0].permute(1, 2, 0).cpu().numpy())

    def loop(self, evaluations: int) -> dict[str, float]:
        """torch's L-BFGS from the content picture, pixels from 0 to 255, as gatys2016 has it."""
        image = (255 * self.content).contiguous().requires_grad_()  # LBFGS can't flatten channels-last
        optimizer = torch.optim.LBFGS([image], max_iter=1, tolerance_grad=0, tolerance_change=0)
        losses = []

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = self.loss((image / 255).contiguous(memory_format=self.layout))
            loss.backward()
            losses.append(loss.detach().clone())
            return loss

        closure()
        losses.clear()
        began = time.perf_counter()
        for _ in range(evaluations):
            optimizer.step(closure)
        lowest = float(torch.stack(losses).min())
        return {"seconds": time.perf_counter() - began, "loss": lowest}

    def pastiche(self, content: str, style: str, size: int, threads: int) -> dict[str, float]:
        """Starts pastiche, its defaults, with both pictures' long edges `size` pixels; the content picture's loss."""
        from pastiche.pastiche import PasticheArtist

        torch.set_num_threads(threads)
        self.artist = PasticheArtist(content, [style], size=size, style_size=size, device=DEVICE)
        return {"loss": self.artist.loss}

    def draw(self, evaluations: int) -> dict[str, float]:
        """Seconds of so many of pastiche's steps, and the loss before the last of them."""
        began = time.perf_counter()
        for _ in range(evaluations):
            self.artist.draw()
        return {"seconds": time.perf_counter() - began, "loss": self.artist.loss}

    def _evaluated(self, evaluations: int) -> tuple[float, float]:
        began = time.perf_counter()
        for _ in range(evaluations):
            self.image.grad = None
            loss = self.loss(self.image)
            loss.backward()
        value = float(loss.detach())  # waits for the device; the gradient's own kernels may still run
        if CUDA:
            torch.cuda.synchronize()
        return time.perf_counter() - began, value


def _set_up(precision: str, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision in ("high", "default")
    torch.backends.cuda.matmul.allow_tf32 = False  # of the Gram matrices, which nstjax computes in float32, too
    warnings.filterwarnings("ignore")


def _loss(problem: str, layout: torch.memory_format, precision: str) -> tuple[Callable[[torch.Tensor], Any], Any]:
    """The loss of an image `1 3 h w`, and the pictures by name."""
    with np.load(problem) as file:
        arrays = {name: file[name] for name in file}
    weights = dict(zip(arrays.pop("terms").tolist(), arrays.pop("weights").tolist(), strict=True))
    pictures = {name: _placed(arrays[name][None], (0, 3, 1, 2), layout) for name in ("image", "content", "style")}
    network = _network(arrays, layout, precision)
    terms = [(*name.split("/"), weight) for name, weight in weights.items() if weight]
    with torch.no_grad():
        features = {kind: network(pictures[kind]) for kind in ("content", "style")}
        targets = [STATISTICS[kind](features[kind][layer]) for kind, layer, _ in terms]

    def loss(image: torch.Tensor) -> torch.Tensor:
        features, total = network(image), 0
        for (kind, layer, weight), target in zip(terms, targets, strict=True):
            total = total + weight * functional.mse_loss(STATISTICS[kind](features[layer]), target)
        return total

    return loss, pictures


def _network(arrays: dict, layout: torch.memory_format, precision: str) -> Callable[[torch.Tensor], dict]:
    """Features up to relu5_1, in float32 whatever the precision of the convolutions."""
    names = sorted(name[:-7] for name in arrays if name.endswith("/kernel") and name <= "conv5_1/kernel")
    kernels = [_placed(arrays[f"{name}/kernel"], (3, 2, 0, 1), layout) for name in names]
    biases = [torch.tensor(arrays[f"{name}/bias"], device=DEVICE) for name in names]
    scale, mean, std = (torch.tensor(arrays[name], device=DEVICE).view(-1, 1, 1) for name in ("scale", "mean", "std"))
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    layers = [(name, k.to(dtype), b.to(dtype)) for name, k, b in zip(names, kernels, biases, strict=True)]

    def features(image: torch.Tensor) -> dict:
        x, found = ((image * scale - mean) / std).to(dtype), {}
        for name, kernel, bias in layers:
            if name.endswith("_1") and name != "conv1_1":
                x = functional.max_pool2d(x, 2)
            x = functional.relu(functional.conv2d(x, kernel, bias, padding=1))
            found[name.replace("conv", "relu")] = x.float()
        return found

    return features


def _gram(x: torch.Tensor) -> torch.Tensor:
    """F F^T / M; in either layout `f` is a view."""
    f = x[0].flatten(1)
    return (f @ f.T) / f.shape[1]


STATISTICS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"content": lambda x: x, "style": _gram}


def _placed(array: np.ndarray, order: tuple[int, ...], layout: torch.memory_format) -> torch.Tensor:
    return torch.tensor(array, device=DEVICE).permute(order).contiguous(memory_format=layout)


if __name__ == "__main__":
    protocol.serve(Side())
