"""The worker that runs nstjax, by the functions that a run uses: `run.problem`, `run.chunks`, `optimize.advance`."""

import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmark import parts, presets, protocol
from nstjax import assets, images, optimize, optimizers, run, scales
from nstjax.config import Config
from nstjax.run import problem as problems
from nstjax.types import Image

Changes = Mapping[str, Any]  # to a preset, by dotted key


class Job(NamedTuple):
    """A configuration, and all that its first scale works on."""

    config: Config
    problem: problems.Problem
    stage: problems.Stage


class Side:
    """nstjax, as one variant of it at one size, or as a whole run."""

    def about(self) -> dict[str, Any]:
        """The device, and the versions."""
        device = jax.devices()[0]
        versions = {name: version(name) for name in ("jax", "jaxlib", "flax", "numpy")}
        return {"platform": device.platform, "device": device.device_kind, "versions": versions}

    def pictures(self, folder: str, content: str, style: str) -> dict[str, str]:
        """The files of two assets, and PNGs of the squares in their middles."""
        answer = {}
        for role, name in (("content", content), ("style", style)):
            file, square = assets.resolve(name), Path(folder, f"{role}.png")
            images.save(square, _square(images.load(file).pixels))
            answer |= {role: str(file), f"square_{role}": str(square)}
        return answer

    def build(self, preset: str, changes: Changes) -> dict[str, float]:
        """Compiles what `evaluate` runs, on the image halfway between photo and painting, where no term is zero."""
        self.job = _job(preset, changes)
        self.style = _style(preset, changes, self.job)
        self.image = jax.block_until_ready((self.job.stage.content + self.style) / 2)
        self.sgd = optimizers.create("sgd", {}, 1)
        first, _ = _timed(lambda: self._advance(1, 0.0))
        again, (_, loss) = _timed(lambda: self._advance(1, 0.0))
        return {"compile": first - again, "seconds": again, "loss": loss}

    def evaluate(self, evaluations: int) -> dict[str, Any]:
        """Seconds of each of a chunk of evaluations: loss, gradient, and a step of SGD with learning rate 0."""
        evaluations = min(evaluations, optimize.LONGEST_CHUNK)
        seconds, (_, loss) = _timed(lambda: self._advance(evaluations, 0.0))
        return {"seconds": seconds / evaluations, "loss": loss, "device_peak_bytes": _device_peak()}

    def gradient(self, path: str) -> None:
        """Writes the gradient that `evaluate` computes: a step of SGD with learning rate 1, turned round."""
        np.save(path, -np.asarray(self._advance(1, 1.0)[0].pending))

    def export(self, path: str) -> None:
        """Writes what another program needs to compute the same loss."""
        (scale, mean, std), params = self.job.problem.network.preprocessing, self.job.problem.network.params
        arrays = {f"{layer}/{kind}": array for layer in params for kind, array in params[layer].items()}
        weights = self.job.problem.weights
        pictures = {"image": self.image, "content": self.job.stage.content, "style": self.style}
        terms = {"terms": np.array(list(weights)), "weights": np.array(list(weights.values()), np.float64)}
        np.savez(path, scale=scale, mean=mean, std=std, **arrays, **pictures, **terms)

    def matmul(self) -> dict[str, float]:
        """Operations a second of one large square matrix product, at the variant's precision."""
        side = 2048 if jax.default_backend() == "cpu" else 8192
        dtype = jnp.bfloat16 if self.job.config.runtime.precision == "bf16" else jnp.float32
        if not hasattr(self, "matrix"):
            self.matrix = jax.random.normal(jax.random.key(0), (side, side), dtype)
            jax.block_until_ready(self.matrix @ self.matrix)
        seconds = min(_timed(lambda: jax.block_until_ready(self.matrix @ self.matrix))[0] for _ in range(3))
        return {"flops": 2 * side**3 / seconds}

    def parts(self, folder: str, evaluations: int) -> dict[str, Any]:
        """Seconds an evaluation of each of its parts, and in all, by the clock."""
        arguments, options = self._arguments(1, 0.0)
        program = optimize.advance.lower(*arguments, **options).compile()
        jax.block_until_ready(program(*arguments))
        with jax.profiler.trace(folder):
            arguments, _ = self._arguments(evaluations, 0.0)
            wall, _ = _timed(lambda: jax.block_until_ready(program(*arguments)))
        found = parts.seconds_by_part(Path(folder), program.as_text(), "jit__advance")
        return {"seconds": {part: total / evaluations for part, total in found.items()}, "wall": wall / evaluations}

    def loop(self) -> dict[str, float]:
        """A whole run of what was built, from its targets to its last evaluation, after compiling."""
        next(run.chunks(self.job.config, self.job.problem))
        seconds, chunks = _timed(lambda: list(run.chunks(self.job.config, self.job.problem)))
        return {"seconds": seconds, "loss": float(chunks[-1].state.lowest)}

    def reach(self, preset: str, changes: Changes, judge: str, judge_changes: Changes, began: float) -> dict[str, Any]:
        """Runs a preset, and then says of its result at each moment how another preset's objective judges it.

        Args:
            began: seconds since the epoch at which the clock starts.
        """
        config = presets.config(preset, changes)
        results = []
        for chunk in run.chunks(config, problems.prepare(config)):
            results.append((jax.block_until_ready(chunk.state.result.copy()), time.time() - began))
        judging = _job(judge, judge_changes)
        curve = [(seconds, _judged(judging, image)) for image, seconds in results]
        return {"curve": curve, "content_loss": _judged(judging, judging.stage.content)}

    def _advance(self, evaluations: int, rate: float) -> tuple[optimize.State, float]:
        arguments, options = self._arguments(evaluations, rate)
        state, records = optimize.advance(*arguments, **options)
        return jax.block_until_ready(state), float(records["total"][evaluations - 1])

    def _arguments(self, evaluations: int, rate: float) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Of `optimize.advance`."""
        state, problem = optimize.start(self.image, self.sgd.init(self.image)), self.job.problem
        rates = np.full(optimize.LONGEST_CHUNK, rate, np.float32)
        arguments = (
            state, problem.network, self.job.stage.targets, problem.weights, rates, evaluations, 0.0, jax.random.key(0)
        )  # fmt: skip
        return arguments, {"objective": problem.objective, "optimizer": self.sgd}


def _job(preset: str, changes: Changes) -> Job:
    config = presets.config(preset, changes)
    # As `run.run` does around everything; here for the process.
    jax.config.update("jax_default_matmul_precision", run.matmul_precision(config))
    problem = problems.prepare(config)
    if config.runtime.convolution == "winograd" and not problem.network.prepared:
        raise RuntimeError("Winograd's kernels are not there: this would measure direct convolution")
    return Job(config, problem, next(problems.stages(config, problem)).aimed())


def _style(preset: str, changes: Changes, job: Job) -> Image:
    from_style = presets.config(preset, {**changes, "init.kind": "style"})
    return problems.initial(from_style, job.problem, job.stage)


def _judged(job: Job, image: Image) -> float:
    shape = job.stage.content.shape
    image = image if image.shape == shape else scales.enlarged(image, *shape[:2])
    network, weights = job.problem.plain_network, job.problem.weights
    return float(optimize.measure(image, network, job.stage.targets, weights, objective=job.problem.objective)[0])


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def _square(pixels: images.Pixels) -> images.Pixels:
    height, width, _ = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _device_peak() -> int | None:
    statistics = jax.devices()[0].memory_stats() or {}
    return statistics.get("peak_bytes_in_use")


if __name__ == "__main__":
    protocol.serve(Side())
