"""The numbers kept of the quality runs as one Markdown table, beside their targets and floors."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.sets import BenchSet, Goal, _yardstick

HEAD = ("set", "generator", "number", "value", "target", "floor", "independent", "")
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
    base = (found.get("independent") or [{}])[0]
    out = []
    for generator in [g for g in one.generators if g in found] + sorted(
        g for g in found if g not in (*one.generators, "independent")
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
    return f"{text}\n\n{counts}\n{_rivals([one.name for one in asked])}"


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


def _rivals(names: list[str]) -> str:
    """Figures of other tools on the same sets, as they were measured once."""
    known: dict[str, Any] = json.loads(_yardstick.RIVALS.read_text())
    lines = [
        f"{name} {rival}: " + "  ".join(f"{k} {v}" for k, v in numbers.items())
        for name in names
        for rival, numbers in known.get(name, {}).items()
    ]
    return "\n".join(["", *lines]) if lines else ""
