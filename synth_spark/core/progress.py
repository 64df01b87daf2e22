"""Progress of a run: one line a stage for a person, one JSON object a line for a program."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a stage is. The keys of `numbers` end in their unit."""

    stage: str
    done: int
    total: int
    of: str  # what is counted: rows, epochs, waves
    elapsed_s: float
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest will take at the pace so far; None before the first unit."""
        if not self.done or self.total <= self.done:
            return 0.0 if self.done else None
        return self.elapsed_s * (self.total - self.done) / self.done

    def line(self) -> str:
        """One line of at most 100 characters."""
        share = f"{100 * self.done // max(self.total, 1):3d}%"
        count = f"{self.done:,}/{self.total:,} {self.of}"
        text = f"{self.stage:<10} {count} {share} {self.elapsed_s:7.1f} s"
        if self.done and self.of == "rows":
            text += f"  {self.done / max(self.elapsed_s, 1e-9):,.0f} rows/s"
        if self.left_s:
            text += f"  {self.left_s:.0f} s left"
        for name, value in self.numbers.items():
            text += f"  {name} {value:,.0f}" if abs(value) >= 1000 else f"  {name} {value:.4g}"
        return text[:100]


Say = Callable[[Progress], None]


class Log:
    """Says every progress on the screen (unless quiet) and as JSON lines in a file."""

    def __init__(self, file: Path | None, *, quiet: bool = False) -> None:
        self.file, self.quiet = file, quiet

    def __call__(self, progress: Progress) -> None:
        if not self.quiet:
            sys.stderr.write(progress.line() + "\n")
            sys.stderr.flush()
        if self.file is not None:
            entry = {"at_s": round(time.time(), 3), **asdict(progress), "left_s": progress.left_s}
            with self.file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(entry) + "\n")


def silent(_: Progress) -> None:
    """Says nothing."""
