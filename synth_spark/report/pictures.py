"""Which scores become which picture; each is markup, or None where there is nothing to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from synth_spark.metrics.base import Evaluation, Line
from synth_spark.report import svg, words

MOST_COLUMNS = 60  # column pictures on the page; the rest stands in the JSON twin
MOST_HEAT = 32  # items in the heat map
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MARKS_S = ((0.0, "1 s"), (1.7782, "1 min"), (3.5563, "1 h"), (4.9365, "1 d"), (5.7816, "1 wk"))
MONTH = (6.4137, "1 mo")


def track(line: Line) -> Markup:
    """The number between independence and floor."""
    return svg.track(line.value, line.floor, line.independence, line.best, line.worst)


def columns(evaluation: Evaluation) -> list[dict[str, Any]]:
    """A picture for each column, the ones furthest behind the floor first."""
    lines = [x for x in evaluation.of("columns") if x.value is not None]
    lines.sort(key=lambda x: (x.value or 0.0) - (x.floor if x.floor is not None else 1.0))
    return [_card(x) for x in lines[:MOST_COLUMNS]]


def traits(evaluation: Evaluation) -> list[dict[str, Any]]:
    """A picture for each trait of the subjects, the ones furthest behind the floor first."""
    lines = [x for x in evaluation.of("aggregates") if x.value is not None]
    lines.sort(key=lambda x: (x.value or 0.0) - (x.floor if x.floor is not None else 1.0))
    return [_card(x) for x in lines]


def _card(line: Line) -> dict[str, Any]:
    detail = line.detail
    said = (
        f"{line.item}: shares of its bins, real and synthetic; overlap {words.number(line.value)}"
    )
    return {
        "name": line.item,
        "value": words.number(line.value),
        "floor": words.number(line.floor),
        "independence": words.number(line.independence),
        "svg": svg.bars(detail["bins"], detail["real"], detail["synthetic"], said),
    }


# ---- pairs --------------------------------------------------------------------------------------


def pairs(evaluation: Evaluation) -> dict[str, Any] | None:
    """The heat map of pair accuracy minus floor, with the five worst pairs in words."""
    lines = [x for x in evaluation.of("pairs") if x.value is not None and x.floor is not None]
    if len(lines) < 3:
        return None
    gap = {id(x): (x.value or 0.0) - (x.floor or 0.0) for x in lines}
    names = _worst_names(lines, gap)
    place = {name: i for i, name in enumerate(names)}
    cells = {}
    for x in lines:
        a, b = place.get(x.detail["first"]), place.get(x.detail["second"])
        if a is None or b is None:
            continue
        title = f"{x.item}: {words.number(x.value)}, floor {words.number(x.floor)}"
        cells[max(a, b), min(a, b)] = (gap[id(x)], title)
    span = 0.10
    said = "Pair accuracy minus floor, one square for each pair of columns"
    worst = sorted(lines, key=lambda x: gap[id(x)])[:5]
    return {
        "svg": svg.heat(names, cells, span, said),
        "span": words.number(span),
        "shown": len(names),
        "worst": [
            {
                "name": x.item,
                "value": words.number(x.value),
                "floor": words.number(x.floor),
                "independence": words.number(x.independence),
            }
            for x in worst
        ],
    }


def _worst_names(lines: Sequence[Line], gap: dict[int, float]) -> list[str]:
    """The items in their order; where there are too many, those with the worst pairs."""
    names: dict[str, list[float]] = {}
    for x in lines:
        for side in ("first", "second"):
            names.setdefault(str(x.detail[side]), []).append(gap[id(x)])
    if len(names) <= MOST_HEAT:
        return list(names)
    worst = sorted(names, key=lambda n: (min(names[n]), n))[:MOST_HEAT]
    return [n for n in names if n in set(worst)]


# ---- events -------------------------------------------------------------------------------------


def rhythm(evaluation: Evaluation) -> Markup | None:
    """Shares of events by hour of the week."""
    line = evaluation.line("rhythm")
    if line is None or line.value is None:
        return None
    ticks = [(24.0 * i, day) for i, day in enumerate(DAYS)]
    said = "Share of events in each hour of the week, real, holdout and synthetic"
    return svg.curves(line.detail["real"], _others(line), ticks, said)


def gaps(evaluation: Evaluation) -> Markup | None:
    """Shares of gaps on a log scale."""
    line = evaluation.line("gaps")
    if line is None or line.value is None:
        return None
    marks = line.detail["log10_s"]
    shares = [line.detail[k] for k in ("real", "synthetic", "holdout") if k in line.detail]
    used = [i for i in range(len(marks)) if any(s[i] > 0 for s in shares)]
    low, high = max(min(used) - 1, 0), min(max(used) + 2, len(marks))
    step = marks[2] - marks[1]
    ticks = [((at - marks[low]) / step, name) for at, name in (*MARKS_S, MONTH)]
    ticks = [(at, name) for at, name in ticks if 0 <= at <= high - low - 1]
    said = "Share of gaps between events by length on a log scale, real, holdout and synthetic"
    lines = [(kind, values[low:high]) for kind, values in _others(line)]
    return svg.curves(line.detail["real"][low:high], lines, ticks, said)


def _others(line: Line) -> list[svg.Series]:
    found: list[svg.Series] = []
    for kind, key in (("alone", "independent"), ("held", "holdout"), ("synth", "synthetic")):
        if key in line.detail:
            found.append((kind, line.detail[key]))
    return found


def lengths(evaluation: Evaluation) -> dict[str, Any] | None:
    """Shares of subjects by their number of events, and the means."""
    line, mean = evaluation.line("lengths"), evaluation.line("lengths", "mean")
    if line is None or line.value is None or mean is None:
        return None
    said = "Share of subjects by number of events, real and synthetic"
    detail = line.detail
    return {
        "svg": svg.bars(detail["bins"], detail["real"], detail["synthetic"], said),
        "real": f"{mean.detail['real']:,.1f}",
        "synthetic": f"{mean.detail['synthetic']:,.1f}",
        "holdout": f"{mean.detail['holdout']:,.1f}" if "holdout" in mean.detail else "–",
    }


def transitions(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Real beside synthetic, for each category column that changes within a subject."""
    found = []
    for line in evaluation.of("transitions"):
        if line.value is None:
            continue
        states, pair = line.detail["states"], ("real", "synthetic")
        found.append(
            {
                "name": line.item,
                "value": words.number(line.value, line.unit),
                "floor": words.number(line.floor, line.unit),
                "independence": words.number(line.independence, line.unit),
                **{k: svg.matrix(states, line.detail[k], f"{line.item}: {k}") for k in pair},
            }
        )
    return found


def stack(parts: Sequence[tuple[str, str, int]]) -> Markup:
    """Rows in = kept + quarantined + repeats, as one bar."""
    return svg.stack(parts)
