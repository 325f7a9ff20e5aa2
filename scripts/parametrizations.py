"""Counts the evaluations that each parametrization needs to the same loss: `python scripts/parametrizations.py OUT`.

On the default pictures and objective at one scale, with L-BFGS and with Adam. Adam's learning rate is, for each
parametrization, the one of `RATES` with the lowest loss after a short run. A loss is the lowest so far; the losses to
reach are those of L-BFGS on pixels after each of `MARKS`. Further settings, as init=noise, are of all runs. Runs stay
in OUT, and are not repeated.
"""

import argparse
import csv
import itertools
from collections.abc import Sequence
from pathlib import Path

from nstjax.run import run
from nstjax.train import compose

PARAMETRIZATIONS = ("pixels", "laplacian", "fourier")
MARKS = (50, 100, 200)  # evaluations
RATES = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
SHORT, LONG = 50, 300  # steps
BEGIN, END = "<!-- parametrizations: begin -->\n", "<!-- parametrizations: end -->"


def main() -> None:
    options = parsed()
    lines = [
        f"| parametrization | optimizer | {' | '.join(f'loss of {mark}' for mark in MARKS)} | lowest of {LONG} |",
        "|---|---|" + "--:|" * (len(MARKS) + 1),
    ]
    losses = {}
    for optimizer, name in itertools.product(("lbfgs", "adam"), PARAMETRIZATIONS):
        rate = 1.0 if optimizer == "lbfgs" else best_rate(options, name)
        found = losses.setdefault((optimizer, name), lowest(options, name, optimizer, rate, LONG))
        counts = [reached(found, losses["lbfgs", "pixels"][mark - 1]) for mark in MARKS]
        shown = optimizer if optimizer == "lbfgs" else f"{optimizer}, {rate:g}"
        lines.append(f"| {name} | {shown} | {' | '.join(counts)} | {found[-1]:.0f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.markdown:
        before, _, rest = options.markdown.read_text(encoding="utf-8").partition(BEGIN)
        options.markdown.write_text(before + BEGIN + text + END + rest.partition(END)[2], encoding="utf-8")


def best_rate(options: argparse.Namespace, name: str) -> float:
    return min(RATES, key=lambda rate: lowest(options, name, "adam", rate, SHORT)[-1])


def lowest(options: argparse.Namespace, name: str, optimizer: str, rate: float, steps: int) -> list[float]:
    """The lowest loss until each evaluation of a run."""
    folder = options.out / f"{name}_{optimizer}_{rate:g}_{steps}"
    settings = [f"parametrization={name}", f"optimizer={optimizer}", f"optimizer.learning_rate={rate}"]
    schedule = ["schedule=single", f"schedule.steps=[{steps}]", f"size={options.size}"]
    run(compose([*settings, *schedule, *options.settings, "resume=true"]), folder)
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        return list(itertools.accumulate((float(row["total"]) for row in csv.DictReader(file)), min))


def reached(losses: Sequence[float], mark: float) -> str:
    """The evaluations until a loss isn't above a mark."""
    return next((str(number) for number, loss in enumerate(losses, 1) if loss <= mark), f"over {LONG}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="a folder for the runs")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="such as init=noise")
    parser.add_argument("--size", type=int, default=192, help="pixels of the long edge (default 192)")
    parser.add_argument("--markdown", type=Path, help="a page whose table is replaced")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    main()
