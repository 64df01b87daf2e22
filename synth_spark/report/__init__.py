"""The standalone HTML report and its JSON twin."""

from __future__ import annotations

from synth_spark.report.page import render, to_json, write

__all__ = ["render", "to_json", "write"]
