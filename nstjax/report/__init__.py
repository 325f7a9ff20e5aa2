"""Many runs at a glance, from the folders that they left: a page, a picture sheet, curves and a table.

Nothing is computed here that a run has not recorded: losses come from `history.csv` and `manifest.json`.
"""

from nstjax.report.axes import Axis, labels, varied
from nstjax.report.reading import Run, find
from nstjax.report.result import Result
from nstjax.report.sheet import contact_sheet
from nstjax.report.writing import Report, report

__all__ = ["Axis", "Report", "Result", "Run", "contact_sheet", "find", "labels", "report", "varied"]
