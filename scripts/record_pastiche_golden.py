"""Records the loss of pastiche 1.6.0, evaluation by evaluation, for tests/test_published.py.

In an environment of its own, with `pip install pastiche==1.6.0 torch==2.13.0 pillow` (CPU):

    python scripts/record_pastiche_golden.py grace_hopper.jpg nstjax/plates/starry.jpg OUT.csv

The photograph is matplotlib's: `python -c "from nstjax import assets; print(assets.resolve('grace_hopper'))"`.
"""

import argparse
import csv

from pastiche.pastiche import PasticheArtist

SIDE, EVALUATIONS = 128, 100


def main() -> None:
    """Runs pastiche with its defaults on SIDE * SIDE pixels, and writes `evaluation,total`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("out")
    options = parser.parse_args()
    artist = PasticheArtist(options.content, [options.style], size_pixels=SIDE * SIDE, device="cpu")
    with open(options.out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("evaluation", "total"))
        for evaluation in range(1, EVALUATIONS + 1):
            artist.draw()  # evaluates, then steps: `loss` is the one before the step
            writer.writerow((evaluation, f"{artist.loss:.9g}"))
    print(artist.content_size, artist.style_sizes)


if __name__ == "__main__":
    main()
