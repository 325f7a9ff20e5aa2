"""`python tests/fuzz/fuzz.py TARGET --seconds 60`: looks for a file that makes a reader do anything but read or refuse.

Coverage-guided, by atheris (`pip install -e ".[dev,fuzz]"`). Exits with 1, and says where the file is, for any
exception but a `UserError`, a crash of the process, a file that takes over 10 s, or over 3 GB of memory. The corpus
grows in a temporary folder, or in --corpus.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # as pytest has it

LIMITS = ["-timeout=10", "-rss_limit_mb=3072", "-max_len=131072", "-verbosity=1", "-print_final_stats=1"]


def main() -> int:
    from fuzz.targets import TARGETS, write_seeds
    from weight_files import shrunk

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--corpus", type=Path, help="a folder to begin with and to add to")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix=f"nstjax-fuzz-{options.target}-"))
    with shrunk():
        write_seeds(options.target, folder / "seeds")
    corpus = options.corpus or folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    harness = [sys.executable, __file__, "--harness", options.target]
    limits = [*LIMITS, f"-max_total_time={options.seconds}", f"-artifact_prefix={folder}/"]
    command = [*harness, *limits, str(corpus), str(folder / "seeds")]
    inside = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(command, env=inside, capture_output=True, text=True)
    found = [path for path in folder.iterdir() if path.is_file()]
    if done.returncode or found:
        print(done.stdout[-3000:], done.stderr[-6000:], sep="\n", file=sys.stderr)
        print(f"{options.target}: FOUND {', '.join(map(str, found)) or 'a failure of the harness'}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    facts = [line.removeprefix("stat::") for line in done.stderr.splitlines() if line.startswith("stat::")]
    print(f"{options.target}: nothing found;", "; ".join(" ".join(fact.split()) for fact in facts))
    return 0


def harness(target: str, arguments: list[str]) -> None:
    """libFuzzer's loop, in a process of its own: it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["nstjax", "zipfile", "pickletools"]):
        from fuzz.targets import reader
    from weight_files import shrunk

    read = reader(target)
    path = Path(tempfile.mkdtemp(prefix="nstjax-fuzz-"), "file")

    def test(data: bytes) -> None:
        path.write_bytes(data)
        read(path)

    atheris.Setup([sys.argv[0], *arguments], test)
    with shrunk():
        atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--harness"]:
        harness(sys.argv[2], sys.argv[3:])
    sys.exit(main())
