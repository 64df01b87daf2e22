"""Synthetic telecom records, learned, drawn and scored on a Spark cluster."""

__version__ = "0.1.0"
