"""`python tests/hostile/watch.py SPARE_BYTES FILE ...`: reads weight files in a process that watches itself.

Prints as JSON what each came to. The process may use SPARE_BYTES of addresses more than it has when it begins; what it
does beyond opening the file is seen by an audit hook.
"""

import json
import resource
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # as pytest has it

import weight_files as wf  # noqa: E402

from nstjax.errors import UserError  # noqa: E402
from nstjax.weights import foreign  # noqa: E402

FORBIDDEN = (
    "os.",
    "subprocess",
    "socket",
    "shutil",
    "tempfile",
    "ctypes",
    "exec",
    "compile",
    "import",
    "pickle",
    "urllib",
)


def watched(paths: list[Path], spare_bytes: int) -> dict[str, dict[str, object]]:
    """What reading each file comes to: its answer, seconds of CPU, and what it did beyond opening the file."""
    seen: list[str] = []
    current = ""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if (event == "open" and str(arguments[0]) != current) or event.startswith(FORBIDDEN):
            seen.append(f"{event} {arguments!r:.100}")

    _warm_up(paths[0].parent)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + spare_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sys.addaudithook(hook)
    answers: dict[str, dict[str, object]] = {}
    for path in paths:
        current, began = str(path), time.process_time()
        seen.clear()
        try:
            foreign.read(path)
            answer = "read"
        except UserError as error:
            answer = f"UserError: {error}"
        except Exception as error:
            answer = f"ESCAPED {error!r}"
        answers[path.name] = {"answer": answer, "seconds": time.process_time() - began, "did": list(seen)}
    return answers


def _warm_up(folder: Path) -> None:
    """Reads sound files, so that all that is imported late is there before the watch begins."""
    for writers in wf.FORMATS.values():
        for name, write_sound in writers.items():
            write_sound(folder / f"sound_{name}", wf.network())
            foreign.read(folder / f"sound_{name}")
            (folder / f"sound_{name}").unlink()


if __name__ == "__main__":
    with wf.shrunk():
        print(json.dumps(watched([Path(argument) for argument in sys.argv[2:]], int(sys.argv[1]))))
