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
    "family", "set", "generator", "quality (floor)", "targets met", "privacy (floor)", "fit, s",
    "whole run, s", "drawn, rows/s (long, a core)", "JVM / Python, GB",
)  # fmt: skip
BESIDE = ("dcr_excess", "fit_s")
BASELINE = "independent"
FAMILIES = ("subscriber", "cdr", "location", "browsing", "network_log", "table")
QUALITY = (  # what a set is judged by first: at most two of these that it has
    "accuracy", "c2st", "c2st_sequence", "template_tvd", "radius_km", "jump_km", "top_contact_off",
    "night_off",
)  # fmt: skip
PRIVACY = {"dcr_excess": "DCR excess", "grams_in_train": "n-grams in train"}
LONG = {  # family: cases of `speed.py` with columns like its sets', the first that is there
    "subscriber": ("{} flat",),
    "cdr": ("{} events, 4 columns", "{} events"),
}
SPEED = Path(__file__).resolve().parent / "results" / "speed" / "sampling.json"
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


def draws_kept(name: str, generator: str, results: Path) -> list[dict[str, Any]]:
    """Mean and deviation (`mean`, `sd`) of the numbers of many twins of one model, by seed."""
    paths = sorted(results.glob(f"{name}-{generator}-seed[0-9]-draws.json"))
    return [json.loads(p.read_text())["numbers"] for p in paths]


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

    In brackets the target, the floor and `independent`; a number in bold misses, and has the mean
    and the deviation of the draws of each seed behind it where they are kept. A set without
    targets (a table of one's own) has all numbers beside their floors.
    """
    lines = ["| " + " | ".join(row) + " |" for row in (SHORT, ("---",) * len(SHORT))]
    for one in asked:
        found, floor = kept(one.name, results)
        base = (found.pop(BASELINE, None) or [{}])[0]
        for generator in [g for g in one.generators if g in found]:
            goals, runs = one.goals.get(generator, {}), found[generator]
            met = [targets_met(goals, r, floor) for r in runs]
            many = draws_kept(one.name, generator, results)
            parts = [
                _part(name, goal, [r[name] for r in runs], floor.get(name), base.get(name), many)
                for name, goal in (goals or dict.fromkeys(runs[0])).items()
                if all(name in r for r in runs) and (goals or name not in BESIDE)
            ]
            parts += [
                f"{name} not measured in each run ({_target(goal)})"
                for name, goal in goals.items()
                if not all(name in r for r in runs)
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


def costs(asked: list[BenchSet], results: Path, speed: Path = SPEED) -> str:
    """One line a family, set and generator: quality, nearness to the records, seconds, memory.

    Args:
        asked: The sets.
        results: Where the numbers of the quality runs are kept.
        speed: The JSON of `speed.py`'s sampling, for the rates of long draws.
    """
    lines = ["| " + " | ".join(row) + " |" for row in (COSTS, ("---",) * len(COSTS))]
    rates = json.loads(speed.read_text())["figures"] if speed.exists() else {}
    for one in sorted(asked, key=lambda one: FAMILIES.index(one.family)):
        found, floor = kept(one.name, results)
        for generator in [g for g in (*one.generators, BASELINE) if g in found]:
            goals, runs = one.goals.get(generator, {}), found[generator]
            met = [targets_met(goals, r, floor) for r in runs]
            raw = [
                json.loads(p.read_text())
                for p in sorted(results.glob(f"{one.name}-{generator}-seed[0-9].json"))
            ]
            row = (
                one.family, one.name, f"`{generator}`",
                _beside({n: n for n in [n for n in QUALITY if n in runs[0]][:2]}, runs, floor),
                f"{', '.join(map(str, met))} of {len(goals)}" if goals else "-",
                _beside(PRIVACY, runs, floor),
                ", ".join(f"{r['fit_s']:.0f}" for r in runs if "fit_s" in r),
                ", ".join(f"{r['wall_s']:.0f}" for r in raw),
                _drawn(one.family, generator, raw, rates), _memory(raw),
            )  # fmt: skip
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _beside(
    words: Mapping[str, str], runs: list[dict[str, float]], floor: Mapping[str, float]
) -> str:
    """Named numbers of each seed with the floor in brackets; "-" where there are none."""
    said = []
    for name, word in words.items():
        if values := [r[name] for r in runs if name in r]:
            held = f" ({_short(floor[name])})" if name in floor else ""
            said.append(f"{word} {_listed(values)}{held}")
    return "; ".join(said) or "-"


def _drawn(family: str, generator: str, raw: list[dict[str, Any]], rates: Mapping[str, Any]) -> str:
    """Rows a second of the runs' own draw and, in brackets, of a long one a core."""
    drawn = [r["run"]["sampling"] for r in raw if "sampling" in r["run"]]
    own = ", ".join(f"{d['rows'] / d['seconds']:,.0f}" for d in drawn)
    cases = (case.format(generator) for case in LONG.get(family, ()))
    long = next((rates[c]["rows_per_s_per_core"] for c in cases if c in rates), None)
    return f"{own or '-'} ({long:,})" if long else own or "-"


def _memory(raw: list[dict[str, Any]]) -> str:
    """The largest JVM and the largest Python process, in GB."""
    peaks = [r["run"]["peak_mb"] for r in raw if r["run"].get("peak_mb")]
    parts = ("jvm", "python") if peaks else ()
    return " / ".join(f"{max(p[part] for p in peaks) / 1024:.1f}" for part in parts) or "-"


def targets_met(
    goals: Mapping[str, Goal], numbers: dict[str, float], floor: dict[str, float]
) -> int:
    """How many targets the numbers of one seed meet."""
    found = (n in numbers and g.met(numbers[n], floor.get(n)) for n, g in goals.items())
    return sum(bool(met) for met in found)


def _part(
    name: str, goal: Goal | None, values: list[float], floor: float | None, base: float | None,
    many: list[dict[str, Any]],
) -> str:  # fmt: skip
    text, bar, missed = f"{name} {_listed(values)}", "-", False
    if goal:
        bar = f"{'≥' if goal.kind == 'at least' else '≤'} {_short(goal.bound(floor))}"
        missed = not all(goal.met(v, floor) for v in values)
        text = f"**{text}**" if missed else text
    beside = [bar, _short(floor), _short(base)]
    while beside and beside[-1] == "-":
        beside.pop()
    told = [d for d in many if missed and name in d["mean"]]
    drawn = [f"{_short(d['mean'][name])} ± {_short(d['sd'][name])}" for d in told]
    beside += [f"draws {', '.join(drawn)}"] if drawn else []
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
