"""Synthetic telecom records, learned, drawn and scored on a Spark cluster.

Known rows of a saved model in memory: `load_saved`, `records_of`, `frame_of`. They are loaded when
asked for, so that importing the package loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth_spark.frames import frame_of, records_of
    from synth_spark.pipelines.model_folder import load_saved

__version__ = "0.1.0"
__all__ = ["__version__", "frame_of", "load_saved", "records_of"]

_HOMES = {
    "load_saved": "synth_spark.pipelines.model_folder",
    "records_of": "synth_spark.frames",
    "frame_of": "synth_spark.frames",
}


def __getattr__(name: str) -> Any:
    """A public name, from the module that it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
