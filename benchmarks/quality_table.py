"""The numbers kept of the quality runs as one Markdown table, beside their targets and floors."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.sets import BenchSet, Goal, _yardstick

HEAD = ("set", "generator", "number", "value", "target", "floor", "independent", "")
SHORT = ("set", "generator", "met", "numbers (target; floor; independent)", "beside")
COSTS = (
    "set", "generator", "targets met", "DCR excess", "fit, s", "whole run, s", "JVM / Python, GB",
)  # fmt: skip
BESIDE = ("dcr_excess", "fit_s")
BASELINE = "independent"
WORDS = {
    "at most": "≤ {:.3f}",
    "at least": "≥ {:.3f}",
    "times floor": "≤ {:g} × floor",
    "above floor": "≤ floor + {:g}",
}


def kept(name: str, results: Path) -> tuple[dict[str, list[dict[str, float]]], dict[str, float]]:
    """Numbers of each generator of one set, one dictionary a seed, and the floor's."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for path in sorted(results.glob(f"{name}-*-seed[0-9].json")):
        raw = json.loads(path.read_text())
        if raw["set"] == name:
            found[raw["generator"]].append(raw["numbers"])
    floor = results / f"{name}-floor.json"
    return dict(found), json.loads(floor.read_text())["numbers"] if floor.exists() else {}


def rows(one: BenchSet, results: Path) -> list[list[str]]:
    """The lines of one set: a line for each generator and number."""
    found, floor = kept(one.name, results)
    base = (found.get(BASELINE) or [{}])[0]
    out = []
    for generator in [g for g in one.generators if g in found] + sorted(
        g for g in found if g not in (*one.generators, BASELINE)
    ):
        goals = one.goals.get(generator, {})
        names = list(dict.fromkeys(n for numbers in found[generator] for n in numbers))
        for name in dict.fromkeys([*goals, *names]):
            values = [numbers[name] for numbers in found[generator] if name in numbers]
            out.append(
                [
                    one.name,
                    generator,
                    name,
                    " / ".join(f"{v:.3f}" for v in values) or "–",
                    _target(goals.get(name)),
                    _shown(floor.get(name)),
                    _shown(base.get(name)),
                    _verdict(goals.get(name), values, floor.get(name)),
                ]
            )
    return out


def markdown(asked: list[BenchSet], results: Path) -> str:
    """One table of all sets; values of several seeds stand side by side, and all must pass."""
    lines = [row for one in asked for row in rows(one, results)]
    ends = [row[-1] for row in lines]
    table = [HEAD, tuple("---" for _ in HEAD), *lines]
    text = "\n".join("| " + " | ".join(row) + " |" for row in table)
    counts = ", ".join(f"{ends.count(word)} {word}" for word in ("pass", "miss", "not measured"))
    return f"{text}\n\n{counts}"


def summary(asked: list[BenchSet], results: Path) -> str:
    """One line a set and generator: how many targets each seed meets, and the numbers with them.

    In brackets the target, the floor and `independent`; a number in bold misses. A set without
    targets (a table of one's own) has all numbers beside their floors.
    """
    lines = ["| " + " | ".join(row) + " |" for row in (SHORT, ("---",) * len(SHORT))]
    for one in asked:
        found, floor = kept(one.name, results)
        base = (found.pop(BASELINE, None) or [{}])[0]
        for generator in [g for g in one.generators if g in found]:
            goals, runs = one.goals.get(generator, {}), found[generator]
            met = [_met(goals, r, floor) for r in runs]
            parts = [
                _part(name, goal, [r[name] for r in runs], floor.get(name), base.get(name))
                for name, goal in (goals or dict.fromkeys(runs[0])).items()
                if all(name in r for r in runs) and (goals or name not in BESIDE)
            ]
            beside = [
                f"{name} {_listed([r[name] for r in runs])}"
                for name in BESIDE
                if name not in goals and all(name in r for r in runs)
            ]
            within = f"{', '.join(map(str, met))} of {len(goals)}" if goals else "-"
            row = (one.name, f"`{generator}`", within, "; ".join(parts), "; ".join(beside))
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def costs(asked: list[BenchSet], results: Path) -> str:
    """One line a set and generator: targets met, nearness to the records, seconds, memory."""
    lines = ["| " + " | ".join(row) + " |" for row in (COSTS, ("---",) * len(COSTS))]
    for one in asked:
        found, floor = kept(one.name, results)
        for generator in [g for g in one.generators if g in found]:
            goals, runs = one.goals.get(generator, {}), found[generator]
            met = [_met(goals, r, floor) for r in runs]
            raw = [
                json.loads(p.read_text())
                for p in sorted(results.glob(f"{one.name}-{generator}-seed[0-9].json"))
            ]
            peaks = [r["run"]["peak_mb"] for r in raw if r["run"].get("peak_mb")]
            memory = " / ".join(
                f"{max(p[part] for p in peaks) / 1024:.1f}" for part in ("jvm", "python") if peaks
            )
            row = (
                one.name, f"`{generator}`",
                f"{', '.join(map(str, met))} of {len(goals)}" if goals else "-",
                _listed([r["dcr_excess"] for r in runs if "dcr_excess" in r]) or "-",
                ", ".join(f"{r['fit_s']:.0f}" for r in runs if "fit_s" in r),
                ", ".join(f"{r['wall_s']:.0f}" for r in raw), memory or "-",
            )  # fmt: skip
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _met(goals: Mapping[str, Goal], numbers: dict[str, float], floor: dict[str, float]) -> int:
    """How many targets the numbers of one seed meet."""
    found = (n in numbers and g.met(numbers[n], floor.get(n)) for n, g in goals.items())
    return sum(bool(met) for met in found)


def _part(
    name: str, goal: Goal | None, values: list[float], floor: float | None, base: float | None
) -> str:
    text, bar = f"{name} {_listed(values)}", "-"
    if goal:
        bar = f"{'≥' if goal.kind == 'at least' else '≤'} {_short(goal.bound(floor))}"
        text = text if all(goal.met(v, floor) for v in values) else f"**{text}**"
    beside = [bar, _short(floor), _short(base)]
    while beside and beside[-1] == "-":
        beside.pop()
    return f"{text} ({'; '.join(beside)})" if beside else text


def _listed(values: list[float]) -> str:
    return ", ".join(_short(v) for v in values)


def _short(value: float | None) -> str:
    """Three decimals and no zero before the point; whole seconds and the like with one."""
    if value is None:
        return "-"
    text = f"{value:.3f}" if abs(value) < 5 else f"{value:.0f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def _target(goal: Goal | None) -> str:
    return WORDS[goal.kind].format(goal.value) if goal else ""


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _verdict(goal: Goal | None, values: list[float], floor: float | None) -> str:
    if goal is None:
        return ""
    met = [goal.met(v, floor) for v in values]
    if not met or None in met:
        return "not measured"
    return "pass" if all(met) else "miss"


def rivals(names: list[str]) -> str:
    """Figures of other tools on the same sets, as they were measured once."""
    known: dict[str, Any] = json.loads(_yardstick.RIVALS.read_text())
    lines = [
        f"{name} {rival}: " + "  ".join(f"{k} {v}" for k, v in numbers.items())
        for name in names
        for rival, numbers in known.get(name, {}).items()
    ]
    return "\n".join(["", *lines]) if lines else ""
