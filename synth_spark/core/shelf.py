"""Plug-in folders: a file is the registration."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from synth_spark.errors import UnknownNameError

_HELPERS = frozenset({"base", "survey", "determined", "formula", "within", "detect", "world"})


@dataclass(frozen=True)
class Shelf:
    """One folder of plug-ins. Adding a file to the folder is the whole registration.

    Files named in `_HELPERS` or starting with an underscore are helpers, not plug-ins.
    """

    kind: str  # the word used in error messages: "generator"
    package: str  # the folder: "synth_spark.generators"
    symbol: str  # the name each file must export: "GENERATOR"

    def names(self) -> list[str]:
        """List what is on the shelf without importing any of it."""
        path = import_module(self.package).__path__
        found = (m.name for m in pkgutil.iter_modules(path))
        return sorted(n for n in found if n not in _HELPERS and not n.startswith("_"))

    def get(self, name: str) -> Any:
        """Import one plug-in file and return what it exports.

        Raises:
            UnknownNameError: No file of that name is in the folder (SYN-101).
        """
        names = self.names()
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(names)}"
            raise UnknownNameError(f"No {self.kind} is called {name!r}.", hint=hint, name=name)
        return getattr(import_module(f"{self.package}.{name}"), self.symbol)

    def example(self, name: str) -> Any:
        """The `EXAMPLE` of one plug-in file, for the contract tests."""
        self.get(name)
        return import_module(f"{self.package}.{name}").EXAMPLE


GENERATORS = Shelf("generator", "synth_spark.generators", "GENERATOR")
FAMILIES = Shelf("record family", "synth_spark.records", "FAMILY")
CODECS = Shelf("column kind", "synth_spark.columns", "CODEC")
METRICS = Shelf("metric", "synth_spark.metrics", "METRIC")
