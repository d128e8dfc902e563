"""The report: one HTML file that needs nothing else, not even a script."""

from hoaxwatch.report.facts import ReportData, read_report_data
from hoaxwatch.report.page import build_report, render_report, write_report

__all__ = ["ReportData", "build_report", "read_report_data", "render_report", "write_report"]
