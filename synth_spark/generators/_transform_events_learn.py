"""The story of events: survey, sample of donors, codes, strata of alike histories, protection."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.survey import Survey, merge_surveys, survey_state
from synth_spark.columns.time import DAY_US
from synth_spark.core.batch import Records
from synth_spark.core.ports import Fold, Learning, Take
from synth_spark.core.schema import Schema
from synth_spark.core.seeds import generator
from synth_spark.generators._events_choice import learn_coder
from synth_spark.generators._events_coder import (
    DAY_S,
    Coder,
    Units,
    category_tokens,
    checked_times,
    floor_day,
    number_values,
    subject_tokens,
)
from synth_spark.generators._events_told import block_size, told_by
from synth_spark.generators._transform_chain import chain_for
from synth_spark.generators._transform_events import EventsTwin, Moves
from synth_spark.generators._transform_events_facts import facts_of
from synth_spark.generators._transform_groups import grouped_starts, mdav
from synth_spark.generators._transform_learn import check_group
from synth_spark.generators._transform_own import Own
from synth_spark.generators._transform_segments import Donors, moved_times
from synth_spark.generators._transform_steps import Amounts, Steps
from synth_spark.generators._transform_strata import normal_scores, scores_of

if TYPE_CHECKING:
    from synth_spark.generators.transform import TransformParams

DONOR_ROWS = 400_000
WIDTHS_S = (86_400, 21_600, 3_600)  # of a segment: the first in which most histories have two
MOST = 0.9  # share of the histories of two or more events
_BINS = 48  # of a number
_LEVELS = 32  # of what histories measure, beside the columns of subjects
Reals = NDArray[np.float64]


def learn_events(schema: Schema, params: TransformParams, seed: int) -> Learning:
    """Tell the story of a table of events.

    Raises:
        EmptyTableError: There are no rows (SYN-201).
        FewerThanGroupError: Fewer subjects than one stratum (SYN-772).
        RevealingChainError: The chain would hand out histories whole (SYN-771).
        NoTimeError: An event has no time (SYN-720).
    """
    chain, idle = chain_for("events", params.chain)
    survey = Survey.of((yield Fold(partial(survey_state, schema), merge_surveys, "survey")), schema)
    check_group(survey.subjects, params.histories)
    sample: Records = yield Take(subjects=params.donors, rows=DONOR_ROWS)
    sample = sample.take(np.flatnonzero(sample.lengths > 0))
    check_group(sample.subjects, params.histories)
    coder = learn_coder(schema, survey, sample, min_subjects=params.min_subjects, bins=_BINS)
    identities = told_by(coder, sample, coder.units(sample), params.min_subjects)
    rng = generator(seed, "transform/protect")
    donors = donors_of(coder, sample, params, rng, alike="microaggregate" in chain)
    jitter_s = 60 * params.jitter_minutes if "jitter" in chain else 0.0
    moves = Moves(
        choices=params.choices,
        shift="shift" in chain,
        rank_share=params.rank_share,
        swap="swap" in chain,
        jitter_s=jitter_s if jitter_s > coder.step_us / 1e6 else 0.0,
        gap_share=params.gap_share,
        jitter_m=params.jitter_metres if "jitter" in chain else 0.0,
    )
    protected = _protected(donors, coder, moves, rng)
    own = own_of(coder, sample, protected, params, seed, swap=moves.swap)
    size, longest = block_size(survey.mean_length), int(sample.lengths.max(initial=1))
    model = EventsTwin(coder, identities, protected, own, moves, longest, size, {})
    told = facts_of(model, donors, sample, chain, idle, seed)
    return replace(model, facts={"subjects": survey.subjects, "events": survey.rows, **told})


def donors_of(
    coder: Coder, sample: Records, params: TransformParams, rng: np.random.Generator, *,
    alike: bool,
) -> Donors:  # fmt: skip
    """Histories in tokens with their strata."""
    stamps = checked_times(sample, coder.schema.time)
    days = stamps // DAY_US
    first = days[sample.offsets[:-1]]
    within_day = bool((first == days[sample.offsets[1:] - 1]).all())
    anchor = first if within_day else floor_day(first, "week")
    since = (stamps - np.repeat(anchor, sample.lengths) * DAY_US) / 1e6
    width = _width_s(since, sample)
    segment = (since // width).astype(np.int64)
    whole = _units(coder, sample, anchor, since)
    facts = history_facts(coder, whole, subject_tokens(coder, sample), anchor, since)
    points = np.column_stack(list(facts.values()))
    if not alike:
        points = rng.random((sample.subjects, 1))
    stratum = mdav(points, params.histories)
    order, starts = grouped_starts(stratum)
    plain = [j for j, c in enumerate(coder.cats) if c.how == "plain"]
    cell = stratum[sample.owners]
    for j in plain:
        wide = int(whole.cats[:, j].max(initial=0)) + 1
        cell = np.unique(cell * wide + whole.cats[:, j], return_inverse=True)[1].ravel()
    within = since - segment * float(width)
    owners = sample.owners
    new = (np.diff(owners, prepend=-1) != 0) | (np.diff(segment, prepend=-1) != 0)
    first = np.flatnonzero(new)
    measures = _measures(coder, whole, since % DAY_S)
    totals = np.add.reduceat(measures, sample.offsets[:-1], axis=0)
    means = totals / totals[:, :1]
    means[:, 0] = np.log(totals[:, 0])
    spread = means.std(axis=0)
    return Donors(
        anchor, sample.offsets.astype(np.int64), segment, within, whole.cats, whole.nums,
        order.astype(np.int64), starts, cell.astype(np.int64),
        np.searchsorted(owners[first], np.arange(sample.subjects + 1)).astype(np.int64),
        segment[first], first.astype(np.int64), np.add.reduceat(measures, first, axis=0),
        np.where(spread > 1e-9, spread, 1.0),
        np.asarray(((measures == 0) | (measures == 1)).all(axis=0)), width,
    )  # fmt: skip


def _width_s(since: Reals, sample: Records) -> int:
    """The widest segment of which most histories have at least two, else the narrowest."""
    first, last = since[sample.offsets[:-1]], since[sample.offsets[1:] - 1]
    for width in WIDTHS_S:
        two = (first // width != last // width)[sample.lengths > 1]
        if not len(two) or two.mean() >= MOST:
            return width
    return WIDTHS_S[-1]


def _units(coder: Coder, sample: Records, anchor: NDArray[np.int64], since: Reals) -> Units:
    """One unit a subject, no event left out."""
    cats = np.empty((sample.rows, len(coder.cats)), np.int32)
    for j, column in enumerate(coder.cats):
        cats[:, j] = category_tokens(coder.schema, column, sample)
    nums = np.empty((sample.rows, len(coder.nums)), np.int32)
    for j, column in enumerate(coder.nums):
        raw = number_values(coder.schema, column.name, column.how, sample)
        nums[:, j] = column.codec.encode(raw)
    every = np.arange(sample.subjects, dtype=np.int64)
    return Units(every, anchor, sample.offsets, since, cats, nums, np.zeros(nums.shape))


def history_facts(
    coder: Coder, units: Units, own: NDArray[np.int32], anchor: NDArray[np.int64], since: Reals
) -> dict[str, Reals]:
    """What makes histories alike, each of shape (subjects,) and about one unit of spread wide.

    Count and span weigh twice, as they decide how segments of two histories fit together.
    """
    owner, n = np.repeat(units.owner, units.lengths), units.lengths.astype(float)
    subjects = len(n)

    def mean(x: Reals) -> Reals:
        return np.asarray(np.bincount(owner, x, subjects) / n)

    hour = since / 3_600 % 24
    day = (since // DAY_S).astype(np.int64)
    gap = np.log1p(np.where(units.previous < 0, 0.0, since - units.previous))
    ends = since[units.offsets[1:] - 1] - since[units.offsets[:-1]]
    active = np.unique(owner * (int(day.max(initial=0)) + 1) + day)
    active = np.bincount(active // (int(day.max(initial=0)) + 1), minlength=subjects)
    facts = {
        "n": 2 * _unit(np.log(n)),
        "span": 2 * _unit(np.log1p(ends)),
        "days": _unit(np.log(active)),
        "start": _unit(anchor.astype(float)),
        "first": _unit(day[units.offsets[:-1]].astype(float)),
        "hour": _unit(mean(hour)),
        "hours": _unit(mean((hour - mean(hour)[owner]) ** 2)),
        "night": _unit(mean((hour < 6).astype(float))),
        "weekend": _unit(mean((day % 7 > 4).astype(float))),
        "gap": _unit(mean(gap)),
    }
    for j, column in enumerate(coder.cats):
        counts = np.bincount(units.cats[:, j], minlength=1)
        for token in np.argsort(-counts, kind="stable")[:6]:
            if 0 < counts[token] < len(owner):
                share = mean((units.cats[:, j] == token).astype(float))
                facts[f"{column.name}={token}"] = 0.7 * _unit(share)
    for j, column in enumerate(coder.nums):
        z = normal_scores(units.nums[:, j], int(units.nums[:, j].max(initial=0)) + 1)
        facts[column.name] = 0.7 * _unit(mean(z[units.nums[:, j]]))
    for j, column in enumerate(coder.subject):
        ordered = getattr(column.codec, "kind", "") in ("number", "time")
        for d, part in enumerate(scores_of(own[:, j], ordered).T):
            facts[f"own {column.name}/{d}"] = 0.7 * _unit(part)
    return facts


def _unit(x: Reals) -> Reals:
    spread = x.std()
    return np.asarray((x - x.mean()) / (spread if spread > 0 else 1.0))


def _protected(donors: Donors, coder: Coder, moves: Moves, rng: np.random.Generator) -> Donors:
    """Donors after the operations that work on one history alone: swap of numbers and jitter."""
    if moves.swap:
        every = np.arange(len(donors.t), dtype=np.int64)
        donors = replace(donors, nums=donors.swapped(every, donors.nums, moves.rank_share, rng))
    if not moves.jitter_s:
        return donors
    owners = np.repeat(np.arange(donors.size), np.diff(donors.offsets))
    new = (np.diff(owners, prepend=-1) != 0) | (np.diff(donors.segment, prepend=-1) != 0)
    lengths = np.diff(np.append(np.flatnonzero(new), len(new)))
    t = moved_times(
        donors.t, lengths, donors.segment_s, moves.jitter_s, moves.gap_share, coder.step_us / 1e6,
        rng,
    )  # fmt: skip
    return replace(donors, t=t)


def own_of(
    coder: Coder, sample: Records, donors: Donors, params: TransformParams, seed: int, *,
    swap: bool,
) -> Own:  # fmt: skip
    """The subjects' own columns beside levels of what their histories measure."""
    own = subject_tokens(coder, sample).T
    totals = np.add.reduceat(donors.piece_sums, donors.piece_starts[:-1], axis=0)
    measured = totals / totals[:, :1]
    measured[:, 0] = np.log(totals[:, 0])
    levels, starts = [], []
    for v in measured.T:
        cuts = np.unique(np.quantile(v, np.linspace(0, 1, _LEVELS + 1)[1:-1], method="lower"))
        levels.append(np.searchsorted(cuts, v))
        counts = np.bincount(levels[-1], minlength=_LEVELS)
        starts.append(np.concatenate([[0], np.cumsum(counts)]))
    held = np.vstack([own, np.array(levels)]).astype(np.int32)
    values, begins = np.sort(measured.T, axis=1), np.array(starts, np.int64)
    if not swap:
        return Own(held, len(own), None, begins, values, {})
    kinds = [getattr(c.codec, "kind", "") in ("number", "time") for c in coder.subject]
    ordered = np.array([*kinds, *(True for _ in levels)], np.bool_)
    sizes = [max(c.tokens, 1) for c in coder.subject] + [_LEVELS] * len(levels)
    amounts = Amounts(group=params.group, noise_share=0.0, redraw_share=0.0, rank_share=0.0)
    steps = Steps.learn(held, sizes, ordered, ("swap",), amounts, seed)
    every = np.ones(len(held), np.bool_)
    held = steps.run(held, every, generator(seed, "transform/own"), sweeps=params.sweeps)
    return Own(held, len(own), steps, begins, values, {})


def _measures(coder: Coder, units: Units, within: Reals) -> Reals:
    """What is added up over events, (events, measures); the first is 1."""
    hour = within / 3_600
    first = units.previous < 0
    gap = np.where(first, 0.0, np.log1p(np.maximum(units.t - units.previous, 0.0)))
    parts = [np.ones(len(hour)), hour / 24, (hour / 24) ** 2, hour < 6, gap]
    for j in range(len(coder.cats)):
        token = units.cats[:, j]
        counts = np.bincount(token, minlength=1)
        heavy = np.argsort(-counts, kind="stable")[:6]
        parts += [token == k for k in heavy if 0 < counts[k] < len(token)]
        parts.append(~first & (token == np.roll(token, 1)))
    for j in range(len(coder.nums)):
        token = units.nums[:, j]
        parts.append(normal_scores(token, int(token.max(initial=0)) + 1)[token])
    return np.column_stack(parts).astype(np.float64)
