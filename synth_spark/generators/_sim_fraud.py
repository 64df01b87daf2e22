"""Callers that are no people: rings that call each other and premium lines, SIM boxes, robo-calls.

A ring's members stand at numbers far apart, in blocks of their own. Its calls are drawn by the
number of the ring alone, so every block that holds a member makes the same ones and keeps its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.config.scenarios import FraudRing, RoboCalls
from synth_spark.core.seeds import generator
from synth_spark.generators._sim_draft import Draft
from synth_spark.generators._sim_quota import member_number
from synth_spark.generators._sim_ties import OUTSIDE, PREMIUM, STRIDE

FRESH = 1_000  # ranks of other parties that are no contacts begin here
TO_SUBJECTS = 0.3  # of robo-calls, to subjects of the block
SPREAD = 0.7  # of the log of durations


def callers_only(draft: Draft, *, out: int, call: int) -> None:
    """Robo-callers and SIM boxes: their ordinary events go, and calls out come instead."""
    for k, s in enumerate(draft.facts.scenarios):
        box = isinstance(s, FraudRing) and s.style == "sim_box"
        if not (box or isinstance(s, RoboCalls)):
            continue
        assert isinstance(s, FraudRing | RoboCalls)
        mine = np.flatnonzero(draft.which == k)
        number = draft.values["party"] - draft.first  # nobody calls such a line, either
        to_line = (number >= 0) & (number < draft.size)
        to_line &= draft.which[np.clip(number, 0, draft.size - 1)] == k
        draft.take((draft.which[draft.owner] != k) & ~to_line)
        calls = max(int(np.rint(s.calls_a_day * draft.facts.params.days)), 1)
        owner, rng = np.repeat(mine, calls), draft.rng(f"callers/{k}")
        hours = (s.from_hour, s.to_hour) if isinstance(s, RoboCalls) else (0, 24)
        each = np.tile(np.arange(calls), len(mine))
        party = OUTSIDE + owner * STRIDE + FRESH + each % (STRIDE - FRESH)
        if isinstance(s, RoboCalls):
            subjects = draft.first + rng.integers(draft.size, size=len(owner))
            own = subjects == draft.first + owner
            party = np.where((rng.random(len(owner)) < TO_SUBJECTS) & ~own, subjects, party)
        answered = s.answered_share if isinstance(s, RoboCalls) else 0.9
        values = _calls(rng, len(owner), s.duration_s, answered)
        moments = _times(rng, len(owner), draft.facts.params.days, hours)
        draft.add(
            owner, moments, k + 1, **values, kind=_full(call, owner), way=_full(out, owner),
            party=party,
        )  # fmt: skip


def rings(draft: Draft, *, out: int, call: int) -> None:
    """The calls of rings of fraud, seen from the members of this block."""
    for k, s in enumerate(draft.facts.scenarios):
        if not isinstance(s, FraudRing) or s.style != "ring":
            continue
        for ring in np.unique(draft.place[draft.which == k] // s.ring_size).tolist():
            _ring(draft, k, s, ring, out=out, call=call)


def _ring(draft: Draft, k: int, s: FraudRing, ring: int, *, out: int, call: int) -> None:
    places = range(ring * s.ring_size, (ring + 1) * s.ring_size)
    numbers = np.array([member_number(k, place, draft.rates) for place in places], np.int64)
    rng = generator(draft.seed, f"simulation/ring/{k}", ring)
    calls = max(int(np.rint(s.calls_a_day * draft.facts.params.days)), 1)
    caller = np.repeat(np.arange(s.ring_size), calls)
    callee = (caller + 1 + rng.integers(s.ring_size - 1, size=len(caller))) % s.ring_size
    premium = rng.random(len(caller)) < s.premium_share
    line = PREMIUM + ring * 1_000 + rng.integers(s.premium_numbers, size=len(caller))
    party = np.where(premium, line, numbers[callee])
    moments = _times(rng, len(caller), draft.facts.params.days, (8, 24))
    values = _calls(rng, len(caller), s.duration_s, 0.98)
    pair = -1 - (np.arange(len(caller)) + ring * (1 << 24) + k * (1 << 48))
    last = draft.first + draft.size
    for end, other, way in ((caller, party, out), (callee, numbers[caller], 1 - min(out, 1))):
        here = (numbers[end] >= draft.first) & (numbers[end] < last)
        if way != out:
            here &= ~premium
        rows = np.flatnonzero(here)
        more = {n: v[rows] for n, v in values.items()}
        owner = numbers[end[rows]] - draft.first
        draft.add(
            owner, moments[rows], k + 1, **more, kind=_full(call, rows), way=_full(way, rows),
            party=other[rows], pair=pair[rows],
        )  # fmt: skip


def _times(
    rng: np.random.Generator, rows: int, days: int, hours: tuple[int, int]
) -> NDArray[np.float64]:
    """Moments on any day between two hours, seconds since the start."""
    within = hours[0] + (hours[1] - hours[0]) * rng.random(rows)
    return np.asarray(86_400.0 * rng.integers(days, size=rows) + 3_600.0 * within)


def _calls(
    rng: np.random.Generator, rows: int, median_s: float, answered: float
) -> dict[str, NDArray[Any]]:
    missed = rng.random(rows) >= answered
    seconds = np.maximum(median_s * np.exp(SPREAD * rng.standard_normal(rows)), 1.0)
    return {
        "seconds": np.where(missed, 0.0, seconds),
        "cause": missed.astype(np.int64),
        "down": np.full(rows, np.nan),
        "up": np.full(rows, np.nan),
    }


def _full(value: int, like: NDArray[Any]) -> NDArray[np.int64]:
    return np.full(len(like), value, np.int64)
