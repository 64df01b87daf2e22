"""An evaluation as one HTML page that opens offline, and as its JSON twin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth_spark.errors import SynthError
from synth_spark.metrics.base import Evaluation, Line
from synth_spark.report import pictures, words

HTML, JSON = "report.html", "report.json"
VERSION = 1  # of the JSON layout
FACTS = (
    "title", "source", "generator", "seed", "made_at", "rows", "subjects", "wall_s", "ingest",
    "grouped", "run", "versions", "timings_s", "sampling", "model_notes",
    "not_tested", "privacy",
)  # fmt: skip


class ReportNotWrittenError(SynthError):
    """The report's folder cannot be written to."""

    code = "SYN-410"


class FactsNotPlainError(SynthError):
    """A fact for the report is not plain data: text, numbers, lists and dicts."""

    code = "SYN-411"


def write(folder: Path, evaluation: Evaluation, facts: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write `report.html` and `report.json` into a folder, each whole or not at all.

    Args:
        folder: Where to; made if it is not there.
        evaluation: What was scored.
        facts: Plain data about the run. Every key may be left out or None; the page then says that
            it was not given. `title`, `source` (of the real records), `generator`, `seed`,
            `made_at` (text with the time zone), `rows`, `subjects` (made), `wall_s`; `ingest`: dict
            of counts `rows_in`, `kept`, `quarantined`, `repeats`, `cut` (events of subjects with
            too many) and `reasons` (reason -> rows); `grouped`: list of sentences on what was cut
            or grouped; `run`: dict of run id, plan hash, model hash and the like; `versions`: dict;
            `timings_s`: dict step -> seconds; `sampling`: dict; `model_notes`: list of sentences,
            what the model says of itself; `not_tested`: list of sentences; `privacy`: a sentence
            about what the generator promises.

    Returns:
        The paths of the page and of its JSON twin.

    Raises:
        ReportNotWrittenError: The folder cannot be written to (SYN-410).
        FactsNotPlainError: A fact is not plain data or not finite (SYN-411).
    """
    twin = to_json(evaluation, facts)
    page, data = folder / HTML, folder / JSON
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in ((page, render(evaluation, facts)), (data, twin)):
            part = path.with_name(path.name + ".part")
            part.write_text(text, encoding="utf-8")
            part.replace(path)
    except OSError as error:
        raise ReportNotWrittenError(
            f"The report cannot be written to {folder}: {error.strerror}.",
            hint="check the folder's permission and the free space",
            folder=str(folder),
        ) from error
    return page, data


def to_json(evaluation: Evaluation, facts: Mapping[str, Any]) -> str:
    """The JSON twin: verdict, facts and every score.

    Raises:
        FactsNotPlainError: A fact is not plain data or not finite (SYN-411).
    """
    said = words.verdict(evaluation)
    points = [{"tone": tone, "text": text} for tone, text in said.points]
    tree = {
        "version": VERSION,
        "verdict": {"tone": said.tone, "head": said.head, "points": points},
        "facts": dict(facts),
        "evaluation": evaluation.to_json(),
    }
    try:
        return json.dumps(tree, indent=1, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise FactsNotPlainError(
            f"The facts for the report are not plain data: {error}.",
            hint="hand over text, finite numbers, lists and dicts",
        ) from error


def render(evaluation: Evaluation, facts: Mapping[str, Any]) -> str:
    """The page as HTML text."""
    import jinja2

    loader = jinja2.PackageLoader("synth_spark.report", ".")
    room = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    room.filters |= {"number": words.number, "count": lambda n: f"{n:,}"}
    room.filters |= {"seconds": _seconds, "plain": _plain}
    facts = {k: _known(v) for k, v in facts.items() if v is not None}
    known = {
        "e": evaluation,
        "facts": {**dict.fromkeys(FACTS), **facts},
        "verdict": words.verdict(evaluation),
        "made": _made(evaluation, facts),
        "heads": [row(evaluation, x) for x in words.headline_metrics(evaluation)],
        "pictures": pictures,
        "rows": lambda metric: [row(evaluation, x) for x in evaluation.of(metric)],
        "ingest": _ingest(facts.get("ingest")),
        "copies": [_copy_row(x) for x in evaluation.of("copies") or _only(evaluation, "copies")],
        "rare": evaluation.line("rare_labels"),
        "notes": _notes(evaluation),
        "absent": _absent(evaluation),
    }
    return room.get_template("page.html.j2").render(known)


# ---- what the template is told ------------------------------------------------------------------


def row(evaluation: Evaluation, line: Line) -> dict[str, Any]:
    """One line as the score tables show it."""
    about = evaluation.about[line.metric]
    reasons = (
        ("synthetic", "synthetic", line.value, line.why),
        ("floor", "holdout", line.floor, line.floor_why),
        ("independence", "independent", line.independence, line.independence_why),
    )
    lacking: dict[str, list[str]] = {}
    for side, table, value, why in reasons:
        if value is None and evaluation.sizes[table]["rows"]:  # else said once for the whole page
            lacking.setdefault(why, []).append(side)
    missing = [f"{' and '.join(s)} not scored, because {why}" for why, s in lacking.items()]
    return {
        "title": about["title"] if line.item == "all" else line.item,
        "good": about["good"],
        "value": words.number(line.value, line.unit),
        "floor": words.number(line.floor, line.unit),
        "independence": words.number(line.independence, line.unit),
        "unit": words.unit_words(line.unit),
        "way": words.way_words(line),
        "goal": "more is better" if line.goal == "high" else "less is better",
        "track": pictures.track(line),
        "rows": line.rows,
        "missing": "; ".join(missing),
    }


def _only(evaluation: Evaluation, metric: str) -> list[Line]:
    line = evaluation.line(metric)
    return [] if line is None else [line]


def _copy_row(line: Line) -> dict[str, Any]:
    def span(side: str) -> str:
        found = line.detail.get(side)
        return f"{words.number(found[0])} to {words.number(found[1])}" if found else ""

    return {
        "what": "whole rows" if line.item == "all" else line.item,
        "value": words.number(line.value),
        "floor": words.number(line.floor),
        "independence": words.number(line.independence),
        "value_span": span("synthetic"),
        "floor_span": span("holdout"),
        "independence_span": span("independent"),
        "rows": line.rows,
        "many": words.too_many(line),
        "compared": line.detail.get("compared", 0),
        "exact": line.detail.get("exact", True),
        "why": line.why,
    }


def _made(evaluation: Evaluation, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was made, for the first screen: (word, value)."""
    size = evaluation.sizes["synthetic"]
    rows, subjects = facts.get("rows", size["rows"]), facts.get("subjects", size["subjects"])
    found = [("rows made", f"{rows:,}")]
    if evaluation.shape == "events":
        found.append(("subjects made", f"{subjects:,}"))
    for key, word in (("generator", "generator"), ("seed", "seed"), ("source", "learned from")):
        if key in facts:
            found.append((word, str(facts[key])))
    if "wall_s" in facts:
        found.append(("time taken", _seconds(float(facts["wall_s"]))))
    if "made_at" in facts:
        found.append(("made", str(facts["made_at"])))
    return found


def _ingest(counts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not counts:
        return None
    words_of = {"kept": "kept", "quarantined": "quarantined", "repeats": "exact repeats dropped"}
    if counts.get("cut"):
        words_of["cut"] = "cut from very long histories"
    parts = [(kind, word, int(counts.get(kind, 0))) for kind, word in words_of.items()]
    total = sum(n for _, _, n in parts)
    into = int(counts.get("rows_in", total))
    reasons = sorted(dict(counts.get("reasons", {})).items(), key=lambda x: (-x[1], x[0]))
    adds_up = into == total
    return {"in": into, "parts": parts, "reasons": reasons, "adds_up": adds_up}


def _absent(evaluation: Evaluation) -> list[str]:
    """Why a whole column of the score tables is empty."""
    if not evaluation.lines:
        return []
    first = evaluation.lines[0]
    sides = (
        ("holdout", "floor", first.floor_why),
        ("independent", "independence value", first.independence_why),
    )
    return [
        f"There is no {word}, because {why}."
        for table, word, why in sides
        if not evaluation.sizes[table]["rows"]
    ]


def _notes(evaluation: Evaluation) -> list[str]:
    """What was not scored at all, and why."""
    titles = evaluation.about
    return [
        f"{titles[x.metric]['title']} ({x.item}): not scored, because {x.why}."
        for x in evaluation.lines
        if x.value is None
    ]


def _known(fact: Any) -> Any:
    """A fact without the entries that are None."""
    return {k: v for k, v in fact.items() if v is not None} if isinstance(fact, dict) else fact


def _plain(value: Any) -> str:
    """A fact as text: large numbers grouped, long texts cut (the JSON twin has them whole)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = str(value)
        return text if len(text) <= 300 else text[:299] + "…"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _seconds(value: float) -> str:
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
