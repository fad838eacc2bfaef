"""The report: one HTML file with both languages, its charts and its data, built from the published marts."""

from publish.report.page import build_report

__all__ = ["build_report"]
