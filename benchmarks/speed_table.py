"""The kept figures of the speed runs as one Markdown table, beside their bars."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import quality_table, sets

HEAD = ("what", "measured", "to be reached", "")
ONE_CORE = {"churn": 40.0, "cdr": 40.0}  # set: seconds of training on one core, at most
RANKS = 1.7  # examples a second of two ranks over those of one


@dataclass(frozen=True)
class Bar:
    """What a case of sampling is to reach."""

    what: str
    case: str  # of `speed.py`
    at_least: float  # rows a second and core; below 1: a share of Spark's own rate


BARS = (
    Bar("`markov`, share of Spark's own rate", "markov events", 0.5),
    Bar("`simulation` without a model, the same", "simulation events, no records", 0.5),
    Bar("`autoregressive`, flat rows/s a core", "autoregressive flat", 100_000),
    Bar("`vae`, flat rows/s a core", "vae flat", 100_000),
    Bar("`autoregressive`, events/s a core", "autoregressive events, 4 columns", 60_000),
    Bar("`autoregressive`, 11 columns", "autoregressive events", 60_000),
    Bar("`gan`, events/s a core", "gan events, 4 columns", 60_000),
    Bar("`markov`, events/s a core", "markov events, 4 columns", 300_000),
    Bar("`transformer`, events/s a core", "transformer events, 4 columns", 10_000),
)


def markdown(speed: Path, quality: Path) -> str:
    """One line a bar; a figure that is not kept says so.

    Args:
        speed: The folder of `sampling.json` and `training.json`.
        quality: The folder of the quality runs, some of them on one core.
    """
    found = [
        *_sampling(_read(speed / "sampling.json").get("figures", {})),
        *(_one_core(name, most, quality) for name, most in ONE_CORE.items()),
        *_ranks(_read(speed / "training.json").get("two_ranks", {})),
    ]
    rows = [HEAD, ("---",) * len(HEAD), *found]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _sampling(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for bar in BARS:
        share, found = bar.at_least < 1, figures.get(bar.case)
        key = "share_of_limit" if share else "rows_per_s_per_core"
        goal = f"≥ {bar.at_least:g}" if share else f"≥ {bar.at_least:,.0f}"
        if found is None:
            rows.append((bar.what, "not measured", goal, ""))
            continue
        value = f"{found[key]:.2f}" if share else f"{found[key]:,}"
        beside = f"{found['rows']:,} rows of {found['subjects']:,} subjects"
        rows.append((bar.what, f"{value} ({beside})", goal, _word(found[key] >= bar.at_least)))
    return rows


def _one_core(name: str, most: float, quality: Path) -> tuple[str, ...]:
    """Seconds of training on one core; reached only if the targets of quality are, too."""
    what, goal = f"training `autoregressive` on {name}, one core", f"≤ {most:g} s, all targets"
    kept = _read(quality / f"{name}-autoregressive-seed0-cores1.json")
    if not kept:
        return what, "not measured", goal, ""
    goals = sets.load(name).goals["autoregressive"]
    floor = _read(quality / f"{name}-floor.json").get("numbers", {})
    met, fit_s = quality_table.targets_met(goals, kept["numbers"], floor), kept["numbers"]["fit_s"]
    told = f"{fit_s:.1f} s, {met} of {len(goals)} targets"
    return what, told, goal, _word(fit_s <= most and met == len(goals))


def _ranks(ratios: dict[str, float]) -> list[tuple[str, ...]]:
    if not ratios:
        return [("two ranks against one, examples/s", "not measured", f"≥ {RANKS:g}", "")]
    return [
        (f"examples/s: {what}", f"{ratio:.2f}", f"≥ {RANKS:g}", _word(ratio >= RANKS))
        for what, ratio in ratios.items()
    ]


def _word(reached: bool) -> str:
    return "reached" if reached else "missed"
