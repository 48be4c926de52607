"""Results in; figures, videos and one HTML page out. Computes nothing."""

from vrodent.report.clips import ClipConfig
from vrodent.report.errors import ReportError
from vrodent.report.write import write_report

__all__ = ["ClipConfig", "ReportError", "write_report"]
