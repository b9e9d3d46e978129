"""Reports as pure functions of a run folder: tables, figures, one HTML page, LaTeX and PDF."""

from __future__ import annotations

from emo_bench.record.run_data import RunData, load_run
from emo_bench.report.write import FORMATS, write_joint_report, write_report

__all__ = ["FORMATS", "RunData", "load_run", "write_joint_report", "write_report"]
