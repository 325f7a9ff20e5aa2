"""A worker's half of the conversation: a JSON object a line, a request in and an answer out. Standard library only."""

import json
import os
import resource
import sys
from typing import Any


def serve(side: Any) -> None:
    """Answers requests on stdin until it closes: {"do": NAME, ...} calls the method NAME, and its dict is the answer.

    Every answer has the process's `peak_bytes` of resident memory besides. An exception is an answer, too: {"error"}.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(side, request.pop("do"))(**request) or {}
        except Exception as error:
            answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:500]}
        print(json.dumps({**answer, "peak_bytes": _peak_bytes()}), file=answers, flush=True)


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
