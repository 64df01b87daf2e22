"""Fitting a simulation: two passes of aggregates become settings, shares and habits.

Moments are matched: a rate's lognormal from mean and variance of the counts, the bursts from the
gaps' coefficient of variation (a hyperexponential of two phases), an urn from how often two events
of a subject agree, exploring from the number of places (S ~ n ** (1 / (1 + gamma)), Song et al.
2010, equation 3).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.number import Number
from synth_spark.columns.survey import Survey
from synth_spark.columns.time import DAY_US, tidy_precision_us
from synth_spark.core.batch import RARE
from synth_spark.core.ports import Fold, Request
from synth_spark.core.schema import Schema
from synth_spark.generators._sim_counts import Ask, merge_second, second_state
from synth_spark.generators._sim_draft import WHOLE
from synth_spark.generators._sim_facts import Facts, Labels, Numbers
from synth_spark.generators._sim_moments import (
    bursts,
    call_moments,
    exploring,
    sessions,
    tie_moments,
)
from synth_spark.generators._sim_params import SimulationParams, default_rhythm
from synth_spark.generators._sim_rules import RULES
from synth_spark.generators._sim_spans import State, first_state, merge_first
from synth_spark.generators._sim_town import seen_town
from synth_spark.generators._sim_where import learned_town

RULED = frozenset({"cdr", "location", "browsing"})  # families whose rules hold with records, too
RULE_COLUMNS = {  # made by the rules and not drawn from their own shares
    "cdr": ("correspondent_id", "duration_s", "cell_id", "uplink_bytes", "downlink_bytes"),
    "location": ("cell_id", "latitude", "longitude"),
    "browsing": (),
}
GROUPED = ("event_type", "plan", "category")  # names of a main column, before any other
MOST_GROUPS = 30
MOSTLY = 0.7  # of the time: subjects seen for less come and go
BACKOFF = 15.0  # rows by which a group's numbers lean on all groups'


@dataclass(frozen=True, slots=True)
class First:
    """What the first pass says."""

    survey: Survey
    params: SimulationParams
    rhythm: NDArray[np.float64]
    labels: dict[str, Labels]
    fitted: dict[str, Any]
    step_s: float
    start_us: int
    weekdays: NDArray[np.float64] = field(default_factory=lambda: np.ones(7))  # of first events


def learned_facts(
    schema: Schema, params: SimulationParams, seed: int
) -> Generator[Request, Any, Facts | None]:
    """The story of the learning: facts, or None where there are no records."""
    state = yield Fold(partial(first_state, schema), merge_first, "survey")
    if state is None:
        return None
    first = _first(schema, params, state)
    ask = _ask(schema, first)
    sums = yield Fold(partial(second_state, ask), merge_second, "habits")
    return _facts(schema, first, ask, sums, seed)


def _first(schema: Schema, params: SimulationParams, state: State) -> First:
    survey = Survey.of(state["survey"], schema)
    least, fitted = params.min_subjects, {}
    labels = {
        c.name: _labels(survey, c.name, least) for c in schema.columns if c.kind == "category"
    }
    if not schema.time:
        return First(
            survey, params, default_rhythm(), labels, {"subjects": survey.subjects}, 1.0, 0
        )
    low, high, _, _ = survey.spans[schema.time]
    start = low // DAY_US * DAY_US
    days = int(min(max((high - start) // DAY_US + 1, 1), 3_660))
    fitted = {
        "subjects": survey.subjects,
        "start": str(np.datetime64(start, "us").astype("datetime64[D]")),
        "days": days,
        **_rates(survey, state["spans"], days),
    }
    rhythm = _rhythm(state["week"], start, days, least)
    fitted = {k: v for k, v in fitted.items() if k not in params.keep}
    known: dict[str, Any] = {k: v for k, v in fitted.items() if k in params.__slots__}
    step = tidy_precision_us(int(state["step"])) / 1e6
    weekdays = np.asarray(state["firsts"], float)
    return First(
        survey, replace(params, **known), rhythm, labels, fitted, step, int(start), weekdays
    )


def _labels(survey: Survey, name: str, least: int) -> Labels:
    """A column's labels and shares; those of few subjects are left out, or stand under one name."""
    codec = survey.codec(name, min_subjects=least)
    missing = int(survey.columns[name]["missing"][0])
    rows = missing + int(np.sum(survey.columns[name]["rows"])) + int(survey.columns[name]["cut"][0])
    if not codec.labels:
        return Labels((RARE,), np.ones(1), missing / max(rows, 1), theta=float("inf"))
    return Labels(codec.labels, codec.shares, missing / max(rows, 1), theta=float("inf"))


def _rates(survey: Survey, spans: NDArray[np.float64], days: int) -> dict[str, float]:
    """Mean and log deviation of the subjects' events a day, and the days in which they are seen.

    Subjects seen in more than `MOSTLY` of the time on average are taken to be there all the time.
    """
    active = float(np.ceil(spans[1] / spans[0])) if spans[0] else 0.0
    active = active if active < MOSTLY * days else 0.0
    mean = survey.mean_length
    variance = float((survey.lengths**2 * survey.counts).sum() / survey.subjects - mean**2)
    spread = np.log1p(max(variance - mean, 0.0) / mean**2)
    return {
        "events_a_day": round(mean / (active or days), 6),
        "rate_sigma": round(float(min(spread**0.5, 2.5)), 4),
        "active_days": active,
    }


def _rhythm(week: NDArray[np.int64], start_us: int, days: int, least: int) -> NDArray[np.float64]:
    """Intensity by hour of the week; hours of few events share their mean."""
    first = (start_us // DAY_US - 4) % 7  # 1970-01-05 was a Monday
    weekday = (first + np.arange(min(days, 7 * 53))) % 7
    seen = np.repeat(np.bincount(weekday, minlength=7), 24).astype(float)
    known = seen > 0
    rate = np.where(known, week / np.maximum(seen, 1.0), 0.0)
    few = known & (week < least)
    if few.any():
        rate[few] = rate[few].mean()
    by_hour = rate.reshape(7, 24).sum(axis=0) / np.maximum(known.reshape(7, 24).sum(axis=0), 1)
    rate = np.where(known, rate, np.tile(by_hour, 7))
    rate = np.maximum(rate, 1e-6 * rate.max())
    return np.asarray(rate / rate.mean())


def _ask(schema: Schema, first: First) -> Ask:
    rules = RULE_COLUMNS.get(schema.family, ())
    codecs: dict[str, Any] = {}
    for column in schema.columns:
        if column.name in rules or (column.kind == "place" and not column.partner):
            continue
        if column.kind == "number":
            codecs[column.name] = first.survey.codec(
                column.name, min_subjects=first.params.min_subjects, bins=34
            )
        elif column.kind == "place":
            codecs[column.name] = first.survey.codec(
                column.name, min_subjects=first.params.min_subjects
            )
    places = [c.name for c in schema.of_kind("place") if c.partner]
    place = places[0] if places and schema.family == "location" else ""
    cells = first.labels["cell_id"].labels if "cell_id" in first.labels else ()
    main = _main(schema, first.labels)
    facts = Facts(schema, first.params, first.rhythm, seen_town(("",), np.ones(1)))
    events = schema.shape == "events"
    per_event = [c.name for c in schema.columns if c.kind == "category" and c.per == "event"]
    return Ask(
        schema=schema,
        start_us=first.start_us,
        clock=facts.clock if events else np.zeros(2),
        labels=tuple(per_event) if events else (),
        main=main,
        groups=first.labels[main].labels if main else (),
        codecs=codecs,
        by_main={
            c.name: first.labels[c.name].labels
            for c in schema.columns
            if c.kind == "category" and main and not events and c.name != main
        },
        place=place,
        place_codec=first.survey.codec(place, min_subjects=first.params.min_subjects)
        if place and not cells
        else None,
        cells=cells,
        active_h=24.0 * (first.params.active_days or first.params.days),
        family=schema.family,
    )


def _main(schema: Schema, labels: dict[str, Labels]) -> str:
    """The column that numbers follow: by name, else that of most labels; "" for none."""
    flat = schema.shape == "flat"
    fit = [
        c.name for c in schema.columns
        if c.kind == "category" and (flat or c.per == "event")
        and 2 <= len(labels[c.name].labels) <= MOST_GROUPS
    ]  # fmt: skip
    named = [n for n in GROUPED if n in fit]
    return (named or sorted(fit, key=lambda n: -len(labels[n].labels)) or [""])[0]


def _facts(schema: Schema, first: First, ask: Ask, state: State, seed: int) -> Facts:
    params, fitted = first.params, dict(first.fitted)
    sums = state["sums"]
    found = _moments(schema, ask, sums, params)
    params = replace(params, **found)
    labels = {n: _with_habit(v, sums.get(f"habit/{n}"), params) for n, v in first.labels.items()}
    numbers = {
        n: Numbers(c.kind, c, _upper(state["tokens"][n]), _whole(schema, n))
        for n, c in ask.codecs.items()
        if c.vocabulary
    }
    for name, value in state["times"].items():
        codec = Number.finish(value, min_subjects=params.min_subjects, bins=34)
        upper = np.cumsum(codec.shares)[None, :]
        numbers[name] = Numbers("number", codec, upper, whole=first.step_s >= 1)
    ruled = schema.family in ("cdr", "location")
    town = learned_town(ask, params, labels.pop("cell_id", None) if ruled else None, sums, seed)
    rule = schema.family if schema.family in RULED else {"flat": "flat"}.get(schema.shape, "events")
    if schema.family == "cdr" and "event_type" not in labels:
        labels["event_type"] = Labels(("call",), np.ones(1))
    makes = RULES[rule].makes
    kept = {"cdr": {"event_type", "direction"}}.get(rule, set())
    own = tuple(sorted((makes & ({*labels, *numbers} - kept)) - {"cell_id"}))
    theta = {f"theta/{n.removeprefix('habit/')}": _theta(v, 0.0) for n, v in sums.items()
             if n.startswith("habit/") and n.removeprefix("habit/") not in labels}  # fmt: skip
    tables = {
        "step_s": np.array([first.step_s]),
        "firsts": first.weekdays,
        **{n: np.array([t]) for n, t in theta.items()},
    }
    tables |= {n: _upper(v) for n, v in sums.items() if n.startswith("by/")}
    facts = Facts(
        schema=schema, params=params, rhythm=first.rhythm, town=town, labels=labels,
        numbers=numbers, main=ask.main, fitted={**fitted, **found}, tables=tables, rule=rule,
        own=own,
    )  # fmt: skip
    return RULES[rule].ready(facts)


def _moments(schema: Schema, ask: Ask, sums: State, params: SimulationParams) -> dict[str, Any]:
    """Settings that the sums tell, but for those that are kept as they are."""
    found: dict[str, Any] = {}
    if schema.shape == "events":
        found |= bursts(sums, params)
    if schema.family == "cdr":
        found |= call_moments(sums, ask, params) | tie_moments(sums, params)
    if "cells" in sums:
        found |= exploring(sums, params)
    if schema.shape == "events" and schema.family not in ("cdr", "location"):
        found |= sessions(sums, params)
    return {k: round(float(v), 6) for k, v in found.items() if k not in params.keep}


def _whole(schema: Schema, name: str) -> bool:
    return schema.column(name).source_type in WHOLE


def _upper(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cumulative shares of tokens by group, leaning on all groups together."""
    pooled = counts.sum(axis=0) / max(counts.sum(), 1)
    smooth = counts + BACKOFF * pooled if len(counts) > 1 else counts + 1e-12
    upper = np.cumsum(smooth, axis=1) / smooth.sum(axis=1, keepdims=True)
    upper[upper >= upper[:, -1:]] = 1.0
    return np.asarray(upper)


def _theta(sums: NDArray[np.float64], by_chance: float) -> float:
    """The urn's weight of new choices from how often two events of a subject agree."""
    agree = sums[0] / max(sums[1], 1.0)
    if sums[1] <= 0 or agree <= by_chance:
        return float("inf")
    return float(np.clip((1.0 - agree) / (agree - by_chance), 0.02, 1e6))


def _with_habit(found: Labels, sums: Any, params: SimulationParams) -> Labels:
    if sums is None or sums[4] < params.min_subjects:
        return found
    agree, next_too = sums[0] / max(sums[1], 1.0), sums[2] / max(sums[3], 1.0)
    stay = np.clip((next_too - agree) / max(1.0 - agree, 1e-9), 0.0, 0.98)
    theta = _theta(sums, float((found.shares**2).sum()))
    return replace(found, theta=theta, stay=float(stay))
