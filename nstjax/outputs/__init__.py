"""The folder of one run: `result.png`, `history.csv`, `history.jsonl`, `manifest.json`, previews, checkpoints.

Every file is whole or absent, the history a whole number of rows; also when the disk is full, or the run is killed.
"""

from nstjax.outputs.folder import LOG, Place, RunFolder, going_on
from nstjax.outputs.history import GROUPS, HISTORY, HISTORY_JSONL, history_row
from nstjax.outputs.manifest import MANIFEST, PAINTED, RESULT, finished, read_manifest, versions
from nstjax.outputs.writers import WRITERS, Kind, Writer

__all__ = [
    "GROUPS", "HISTORY", "HISTORY_JSONL", "LOG", "MANIFEST", "PAINTED", "RESULT", "WRITERS", "Kind", "Place",
    "RunFolder", "Writer", "finished", "going_on", "history_row", "read_manifest", "versions",
]  # fmt: skip
