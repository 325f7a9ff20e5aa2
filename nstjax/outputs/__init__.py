"""The folder of one run: `result.png`, `history.csv`, `manifest.json`, previews, and checkpoints to go on from.

Every file is whole or absent, the history a whole number of rows; also when the disk is full, or the run is killed.
"""

from nstjax.outputs.folder import LOG, Place, RunFolder, going_on
from nstjax.outputs.history import GROUPS, HISTORY, history_row
from nstjax.outputs.manifest import MANIFEST, PAINTED, RESULT, finished, read_manifest, versions

__all__ = [
    "GROUPS", "HISTORY", "LOG", "MANIFEST", "PAINTED", "RESULT", "Place", "RunFolder", "finished", "going_on",
    "history_row", "read_manifest", "versions",
]  # fmt: skip
