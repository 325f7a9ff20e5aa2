"""Runs every preset and writes what it is, and what it comes to, into docs/presets.md.

    python scripts/presets_table.py --keep runs    # runs/gatys2016/result.png and so on

The pictures are downloaded once, or taken from $NSTJAX_ASSETS.
"""

import argparse
import csv
import json
import logging
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nstjax.config import Config, LayersConfig
from nstjax.run import run
from nstjax.train import compose

ROOT = Path(__file__).parent.parent
PRESETS = ROOT / "configs" / "preset"
PAGE = ROOT / "docs" / "presets.md"
BEGIN, END = "<!-- presets: begin -->", "<!-- presets: end -->"

REDUCTIONS = {
    "mean": "mean d²",
    "sum": "Σ d²",
    "half_sum": "½ Σ d²",
    "quarter_mean": "¼ mean d²",
    "half_sum_by_root": "Σ d² / (2 √(CM))",
    "scaled": "Σ d² / Σ abs d",
}
GRAMS = {"none": "F Fᵀ", "per_position": "F Fᵀ / M", "per_element": "F Fᵀ / CM"}
STATISTICS = {"wasserstein": "W₂² / C of Gaussians"}
SCALINGS = {"equal": "", "inverse_square": " / C²"}
VARIATIONS = {
    "half_sum_of_squares": "½ Σ (dx² + dy²)",
    "mean_of_squares": "mean (dx² + dy²)",
    "mean_of_squares_replicated": "mean (dx² + dy²)",
    "mean_of_squares_by_direction": "(mean dx² + mean dy²)",
    "eight_neighbors": "(⅔ mean (dx² + dy²) + ⅙ mean (both diagonals)²)",
    "sum_of_magnitudes": "(Σ abs dx + Σ abs dy)",
    "mean_of_magnitudes": "½ (mean abs dx + mean abs dy)",
    "sum_of_powers": "Σ (dx² + dy²)^1.25",
}


def main() -> None:
    """Runs the presets, one after the other, and replaces the part of the page between its markers."""
    options = parsed()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        rows = [row(path, options, folder / path.stem) for path in sorted(PRESETS.glob("*.yaml"))]
        where = machine(load, json.loads((folder / "default" / "manifest.json").read_text(encoding="utf-8")))
    text = "\n".join([table(rows, options), where, "", *(differences(path) for path in sorted(PRESETS.glob("*.yaml")))])
    page = PAGE.read_text(encoding="utf-8")
    between = f"{BEGIN}\n\n{text}\n\n{END}"
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: between, page, flags=re.DOTALL), encoding="utf-8")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", default="neckarfront")
    parser.add_argument("--style", default="starry_night")
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[1, 20, 100], help="whose losses are listed")
    parser.add_argument("--keep", type=Path, help="folder in which the runs are left, one folder each")
    return parser.parse_args()


def row(preset: Path, options: argparse.Namespace, folder: Path) -> Sequence[str]:
    """Runs a preset, at one scale; its cells of the table."""
    published, last = compose([f"preset={preset.stem}"]), max(options.evaluations)
    # A decay that goes as far as the published one has come by then.
    final = published.optimizer.final ** ((last - 1) / sum(published.schedule.steps))
    config = compose(
        [
            f"preset={preset.stem}", f"content={options.content}", f"style={options.style}", f"size={options.size}",
            "schedule=single", f"schedule.steps=[{last - 1}]", f"optimizer.final={final}", "preview_every=0",
        ]
    )  # fmt: skip
    run(config, folder)
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        totals = [f"{float(line['total']):.6g}" for line in csv.DictReader(file)]
    seconds = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["seconds"]["run"]
    found = [*(totals[each - 1] for each in options.evaluations), f"{seconds:.0f}"]
    print(preset.stem, *found, flush=True)
    return name(preset), network(config), content(config), style(config), variation(config), method(config), *found


def table(rows: Sequence[Sequence[str]], options: argparse.Namespace) -> str:
    head = [
        "preset", "network, weights", "content", "style", "total variation", "start, optimizer",
        *(f"evaluation {each}" for each in options.evaluations), "seconds",
    ]  # fmt: skip
    lines = [head, ["---"] * 6 + ["--:"] * (len(head) - 6), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def name(preset: Path) -> str:
    source = re.search(r"^# Source: (\S+)", preset.read_text(encoding="utf-8"), re.MULTILINE)
    return f"[`{preset.stem}`]({source[1]})" if source else f"`{preset.stem}`"


def network(config: Config) -> str:
    changed = [config.network.pooling, f"{config.network.padding.replace('_', ' ')} padding"]
    changed += ["odd rows kept"] if config.network.pool_edges == "ceil" else []
    changed += ["fed levels"] if config.network.preprocessing == "levels" else []
    wanted = config.objective.tuned_for
    weights = config.weights.source if wanted == "caffe" else f"{config.weights.source} **for {wanted}**"
    return f"{', '.join(changed)}; {weights}"


def content(config: Config) -> str:
    compared = config.objective.content
    if not compared.layers:
        return ""
    return f"{config.objective.content_weight:g} · {REDUCTIONS[compared.reduction]} of {', '.join(compared.layers)}"


def style(config: Config) -> str:
    compared = config.objective.style
    if not compared.layers:
        return ""
    statistic = ", ".join(
        f"{REDUCTIONS[compared.reduction]} of {GRAMS[compared.normalization]}" if each == "gram" else STATISTICS[each]
        for each in dict.fromkeys(compared.statistics())
    )
    scaling = SCALINGS[compared.layer_scaling]
    usual = next((f"{kind}*_1" for kind in ("relu", "conv") if compared.layers == first_of_blocks(kind)), "")
    layers = usual or ", ".join(compared.layers)
    return f"{config.objective.style_weight:g} · Σ {shares(compared)}{statistic}{scaling}; {layers}"


def first_of_blocks(kind: str) -> tuple[str, ...]:
    return tuple(f"{kind}{block}_1" for block in range(1, 6))


def shares(compared: LayersConfig) -> str:
    """The layers' weights, as one number where they are equal."""
    weights = [weight for _, weight in compared.weighted_layers()]
    if len(set(weights)) == 1:
        return "" if weights[0] == 1 else f"{weights[0]:g} · "
    return f"({', '.join(f'{weight:.3g}' for weight in weights)}) · "


def variation(config: Config) -> str:
    tv = config.objective.tv
    return (
        f"{config.objective.tv_weight:g} · {VARIATIONS[tv.form]}, 0-{tv.pixel_range:g}"
        if config.objective.tv_weight
        else ""
    )


def method(config: Config) -> str:
    optimizer = config.optimizer
    rate = "" if optimizer.name == "lbfgs" else f" {optimizer.learning_rate:.3g}"
    average = f", average {optimizer.average:g}" if optimizer.average else ""
    return f"{config.init.kind}; {optimizer.name}{rate}{', clamped' if optimizer.clamp else ''}{average}"


def differences(preset: Path) -> str:
    """What the file's own comment says of its departures."""
    comment = " ".join(re.findall(r"^# (.*)", preset.read_text(encoding="utf-8"), re.MULTILINE))
    found = re.search(r"Differs from .*", comment)
    return f"- `{preset.stem}`: {found[0]}" if found else f"- `{preset.stem}`: nobody else's."


def machine(load: float, manifest: dict) -> str:
    environment, versions = manifest["environment"], manifest["versions"]
    return (
        f"{environment['processor']}, {environment['threads']} threads, load {load:.0f} before, {manifest['device']}; "
        f"jax {versions['jax']}. Seconds are of the evaluations alone, without compiling."
    )


if __name__ == "__main__":
    main()
