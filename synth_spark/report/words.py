"""Numbers and verdicts as a person reads them: with unit, and in words that do not flatter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synth_spark.metrics.base import ALL, Evaluation, Line

Tone = Literal["good", "fair", "poor", "unknown"]
AS_GOOD = 0.01  # an accuracy this close under the floor counts as equal to it


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence, how it sounds, and the sentences under it."""

    tone: Tone
    head: str
    points: tuple[tuple[Tone, str], ...]


def number(value: float | None, unit: str = "share") -> str:
    """A value with as many digits as matter; shares in per cent.

    Example:
        >>> number(0.97312), number(0.0352, "KS distance"), number(None)
        ('97.3 %', '0.035', '–')
    """
    if value is None:
        return "–"
    if unit in ("share", "relative difference"):
        digits = 2 if 0 < abs(value) < 0.01 else 1
        return f"{100 * value:.{digits}f} %"
    return f"{value:.3f}"


def unit_words(unit: str) -> str:
    """The unit behind a number, empty where per cent says it all."""
    words = {"share": "", "relative difference": "off", "TVD": "TVD, 0 to 1", "KS distance": "KS, 0 to 1"}
    return words.get(unit, unit)


def way_words(line: Line) -> str:
    """How far from independence to the floor, in words."""
    if line.way is None:
        return "–"
    if line.way >= 1:
        return "all the way"
    return f"{max(line.way, 0.0):.0%} of the way" if line.way > 0 else "none of the way"


def verdict(evaluation: Evaluation) -> Verdict:
    """What to think of the synthetic records, from the headline numbers alone."""
    points = [p for p in (_accuracy(evaluation), _sequences(evaluation), _copies(evaluation)) if p]
    tones = [tone for tone, _ in points]
    copied = any(t == "poor" and "cop" in text for t, text in points)
    if copied:
        head = "Do not share yet: more of these records are copies of real ones than chance explains."
        return Verdict("poor", head, tuple(points))
    if "poor" in tones:
        head = "Not good enough: these records miss much of what holds the real ones together."
        return Verdict("poor", head, tuple(points))
    if "unknown" in tones or not tones:
        head = "Scored in part: some headline numbers could not be had."
        return Verdict("unknown", head, tuple(points))
    if "fair" in tones:
        head = "Usable with care: close to the real records, but not everywhere."
        return Verdict("fair", head, tuple(points))
    head = "As good as fresh real records on the numbers below."
    return Verdict("good", head, tuple(points))


def _graded(line: Line) -> Tone:
    """Good at the floor, fair from four fifths of the way, poor below."""
    if line.value is None or line.floor is None:
        return "unknown"
    short = line.floor - line.value if line.goal == "high" else line.value - line.floor
    if short <= AS_GOOD:
        return "good"
    if line.way is None:
        return "fair" if short <= 0.05 else "poor"
    return "fair" if line.way >= 0.8 else "poor"


def _beside(line: Line) -> str:
    unit = line.unit
    return (
        f"{number(line.value, unit)}, where a real holdout reaches {number(line.floor, unit)} and "
        f"independent columns {number(line.independence, unit)}"
    )


def _accuracy(evaluation: Evaluation) -> tuple[Tone, str] | None:
    line = evaluation.line("accuracy")
    if line is None:
        return "unknown", "Accuracy was not scored."
    return _graded(line), f"Accuracy is {_beside(line)}."


def _sequences(evaluation: Evaluation) -> tuple[Tone, str] | None:
    if evaluation.shape != "events":
        return None
    names = ("coherence", "aggregates", "gaps", "rhythm", "lengths", "transitions")
    lines = [x for x in map(evaluation.line, names) if x is not None]
    order: tuple[Tone, ...] = ("unknown", "poor", "fair", "good")
    graded = [(_graded(x), x) for x in lines]
    tone = min((t for t, _ in graded), key=order.index)
    weak = [evaluation.about[x.metric]["title"].lower() for t, x in graded if t in ("poor", "fair")]
    head = evaluation.line("coherence")
    text = f"Coherence from event to event is {_beside(head)}." if head else ""
    if weak:
        text += f" Behind the floor: {', '.join(weak)}."
    return tone, text


def _copies(evaluation: Evaluation) -> tuple[Tone, str] | None:
    line = evaluation.line("copies")
    if line is None or line.value is None:
        return "unknown", f"Copies were not counted, because {line.why if line else 'no metric ran'}."
    many = too_many(line)
    others = [x for x in evaluation.of("copies") if too_many(x)]
    text = f"Exact copies of train records: {number(line.value)}; the real holdout has {number(line.floor)}."
    if many or others:
        what = line.detail.get("item", "rows") if many else others[0].item
        return "poor", f"{text} That is more copying than chance explains ({what})."
    if line.floor is None:
        return "unknown", text
    return "good", text


def too_many(line: Line) -> bool:
    """Whether a copy share lies above the holdout's: the 95 % intervals do not meet.

    The `independent` generator's share counts as chance too: it never copies a record.
    """
    mine, floor = line.detail.get("synthetic"), line.detail.get("holdout")
    if not mine or not floor:
        return False
    alone = line.detail.get("independent") or floor
    return bool(mine[0] > max(floor[1], alone[1]))


def headline_metrics(evaluation: Evaluation) -> list[Line]:
    """The lines of the first screen, in the order in which they are read."""
    order = (
        "accuracy", "columns", "pairs", "triples", "coherence", "aggregates", "gaps", "rhythm",
        "lengths", "transitions", "copies",
    )  # fmt: skip
    named = [evaluation.line(n) for n in order]
    rest = [x for x in evaluation.lines if x.item == ALL and x.metric not in order]
    return [x for x in named if x is not None] + rest
