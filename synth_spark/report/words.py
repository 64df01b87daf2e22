"""Numbers and verdicts as a person reads them: with unit, and in words that do not flatter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from synth_spark.metrics.base import ALL, Evaluation, Line

Tone = Literal["good", "fair", "poor", "unknown"]
THIN = "\u202f"  # a narrow space that does not break
_ORDER: tuple[Tone, ...] = ("unknown", "poor", "fair", "good")  # worst first
AS_GOOD = 0.01  # a number this close to the floor counts as equal to it
FEW = 100  # subjects: with fewer, real tables differ much from each other by chance


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
        ('97.3\u202f%', '0.035', '–')
    """
    if value is None:
        return "–"
    if unit in ("share", "relative difference"):
        digits = 2 if 0 < abs(value) < 0.01 else 1
        return f"{100 * value:.{digits}f}{THIN}%"
    return f"{value:.3f}"


def unit_words(unit: str) -> str:
    """The unit behind a number, empty where per cent says it all."""
    words = {"share": "", "relative difference": "off", "TVD": "TVD, 0 to 1"}
    return words.get(unit, "KS, 0 to 1" if unit == "KS distance" else unit)


def way_words(line: Line) -> str:
    """How much of the way from independence to the floor was gone."""
    if line.way is None:
        return "–"
    if line.way >= 1:
        return "all"
    return f"{100 * line.way:.0f}{THIN}%" if line.way > 0 else "none"


def verdict(evaluation: Evaluation) -> Verdict:
    """What to think of the synthetic records, from the headline numbers alone."""
    copies = _copies(evaluation)
    said = (
        _accuracy(evaluation), _sequences(evaluation), _rare(evaluation), copies, _few(evaluation),
    )  # fmt: skip
    points = [p for p in said if p]
    tones = [tone for tone, _ in points]
    if copies[0] == "poor":
        head = "Do not share yet: more of these records are copies of real ones than by chance."
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


def _graded(evaluation: Evaluation, line: Line) -> Tone:
    """Good at the floor, fair from four fifths of the way, poor below."""
    if line.value is None or line.floor is None:
        return "unknown"
    short = line.floor - line.value if line.goal == "high" else line.value - line.floor
    if short <= _noise(line, line.floor, few(evaluation)):
        return "good"
    if line.way is None:
        return "fair" if short <= 0.05 else "poor"
    return "fair" if line.way >= 0.8 else "poor"


def _noise(line: Line, floor: float, is_few: bool) -> float:
    """How far behind the floor two real tables may lie by chance.

    A quarter of the floor's own distance from the best value, with few subjects all of it; for
    events per subject also the 5 % point of the two-sample Kolmogorov-Smirnov test (Smirnov 1948).
    """
    noise = max(AS_GOOD, (1.0 if is_few else 0.25) * abs(line.best - floor))
    if line.metric == "lengths" and all(line.rows):
        noise = max(noise, 1.36 * (1 / line.rows[0] + 1 / line.rows[1]) ** 0.5)
    return noise


def _beside(line: Line) -> str:
    others = (
        ("a real holdout reaches", line.floor),
        ("independent columns reach", line.independence),
    )
    said = [f"{word} {number(v, line.unit)}" for word, v in others if v is not None]
    text = number(line.value, line.unit)
    return (
        f"{text}, where {' and '.join(said)}" if said else f"{text}, with nothing to compare it to"
    )


def _accuracy(evaluation: Evaluation) -> tuple[Tone, str]:
    line = evaluation.line("accuracy")
    if line is None:
        return "unknown", "Accuracy was not scored."
    tone, behind = _behind(evaluation, ("columns", "pairs", "triples", "unseen", "missing"))
    return min(
        (_graded(evaluation, line), tone), key=_ORDER.index
    ), f"Accuracy is {_beside(line)}.{behind}"


def _behind(evaluation: Evaluation, names: Sequence[str]) -> tuple[Tone, str]:
    """The worst grade among some headlines, and a sentence that names those behind the floor."""
    graded = [
        (_graded(evaluation, x), x)
        for x in map(evaluation.line, names)
        if x and x.value is not None
    ]
    if not graded:
        return "unknown", ""
    weak = [evaluation.about[x.metric]["title"].lower() for t, x in graded if t in ("poor", "fair")]
    text = f" Behind the floor: {', '.join(weak)}." if weak else ""
    return min((t for t, _ in graded), key=_ORDER.index), text


def _sequences(evaluation: Evaluation) -> tuple[Tone, str] | None:
    if evaluation.shape != "events":
        return None
    names = ("coherence", "aggregates", "gaps", "rhythm", "lengths", "transitions", "backwards")
    tone, behind = _behind(evaluation, names)
    head = evaluation.line("coherence")
    return tone, f"Coherence from event to event is {_beside(head)}.{behind}" if head else behind


def _rare(evaluation: Evaluation) -> tuple[Tone, str] | None:
    """How many rare labels are off and the worst of them, where chance does not explain it.

    Chance: one in twenty, or as many as of the holdout's; two standard errors of that count more.
    """
    line = evaluation.line("rare_labels")
    if line is None or not line.value:
        return None
    mine, held = line.detail["synthetic"], line.detail.get("holdout")
    alone = max(line.floor or 0.0, 0.05)
    if line.value <= alone + 2 * (alone * (1 - alone) / mine["labels"]) ** 0.5:
        return None
    worst = line.detail["labels off"][0]
    text = (
        f"Rare labels: {mine['off']:,} of {mine['labels']:,} come too often or too seldom, "
        f"{worst['label']} at {worst['ratio']:.2f} of its rate"
    )
    beside = f"; of a real holdout's {held['off']:,} of {held['labels']:,}" if held else ""
    return "fair", f"{text}{beside}."


def few(evaluation: Evaluation) -> bool:
    """Whether there are so few real subjects that real tables differ much by chance."""
    train, held = (evaluation.sizes[k]["subjects"] for k in ("train", "holdout"))
    return bool(train < FEW or 0 < held < FEW)


def _few(evaluation: Evaluation) -> tuple[Tone, str] | None:
    if not few(evaluation):
        return None
    train, held = (evaluation.sizes[k]["subjects"] for k in ("train", "holdout"))
    text = (
        f"Only {train:,} train and {held:,} holdout subjects: all numbers here are noisy, and only"
    )
    return "fair", f"{text} gross faults count against the records."


def _copies(evaluation: Evaluation) -> tuple[Tone, str]:
    line = evaluation.line("copies")
    if line is None or line.value is None:
        why = line.why if line else "no metric ran"
        return "unknown", f"Copies were not counted, because {why}."
    many = too_many(line)
    others = [x for x in evaluation.of("copies") if too_many(x)]
    beside = f"the real holdout has {number(line.floor)}"
    text = f"Exact copies of train records: {number(line.value)}; {beside}."
    if many or others:
        what = line.detail.get("item", "rows") if many else others[0].item
        return "poor", f"{text} That is more copying than chance explains ({what})."
    if line.floor is None:
        return "unknown", text
    return "good", text


def too_many(line: Line) -> bool:
    """Whether a copy share lies clearly above chance: more than twice it, and by half a per cent.

    Chance is the larger of the holdout's share and that of the `independent` generator, which never
    copies; all at the ends of their 95 % intervals. The margin is wide since rows of one subject
    are alike, so that the intervals are too narrow.
    """
    mine, floor = line.detail.get("synthetic"), line.detail.get("holdout")
    if not mine or not floor:
        return False
    chance = max(floor[1], (line.detail.get("independent") or floor)[1])
    return bool(mine[0] > max(2 * chance, chance + 0.005))


def headline_metrics(evaluation: Evaluation) -> list[Line]:
    """The lines of the first screen, in the order in which they are read."""
    order = (
        "accuracy", "columns", "pairs", "triples", "coherence", "aggregates", "gaps", "rhythm",
        "lengths", "transitions", "copies",
    )  # fmt: skip
    named = [evaluation.line(n) for n in order]
    rest = [x for x in evaluation.lines if x.item == ALL and x.metric not in order]
    return [x for x in named if x is not None] + rest
