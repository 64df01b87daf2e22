"""Which unit, which time tokens and which code each column gets, from the data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.category import Category
from synth_spark.columns.number import Number
from synth_spark.columns.place import Place
from synth_spark.columns.survey import Survey
from synth_spark.columns.time import DAY_US, Time, precision_us, tidy_precision_us
from synth_spark.core.batch import Records
from synth_spark.core.schema import Column, Schema
from synth_spark.generators._events_clock import CUT_S, Clock
from synth_spark.generators._events_coder import (
    RANKS,
    Coder,
    EventColumn,
    Mode,
    category_tokens,
    checked_times,
    floor_day,
    identity_codes,
    number_values,
)
from synth_spark.generators._events_dwell import Dwell, Kinds
from synth_spark.generators._events_runs import GONE, ONE_RUN_SHARE, REPEATED, Habit

MOST_PLAIN = 30  # labels of a plain category
OWN_LABELS = 16  # labels beyond which a category of which each subject has few is ranked
OWN_SHARE = 0.125  # of the labels that a subject has on average, up to which those are few
SPIKES = 0.01  # of a number's rows on one value: a token of its own
HALVED = 3  # times the bins at the ends of a number: a level near an end is told from one at it
LONG = 200  # events: subjects with more are cut into episodes


def learn_coder(
    schema: Schema, survey: Survey, sample: Records, *, min_subjects: int, bins: int,
    cut_s: float = CUT_S,
) -> Coder:  # fmt: skip
    """Choose units, time tokens and codes from the survey of all rows and a sample of subjects."""
    stamps = checked_times(sample, schema.time)
    mode, episodes = _calendar(stamps // DAY_US, sample)
    step_us = tidy_precision_us(precision_us(stamps % DAY_US))
    columns = [
        c for c in schema.columns if c.name not in _partners(schema) and c.name != schema.time
    ]
    left = 7 if mode == "week" and not episodes else 1
    cats: list[EventColumn] = []
    subject: list[EventColumn] = []
    found: list[tuple[EventColumn, NDArray[np.float64], dict[str, Any]]] = []
    for column in columns:
        if column.kind == "identifier" and not column.counterpart:
            at = subject if column.per == "subject" else cats
            at += _id_column(column, sample)
        elif column.per == "subject":
            if column.kind != "identifier":
                subject.append(_subject_column(column, survey, min_subjects))
        elif column.kind in ("category", "place") or (
            column.kind == "identifier" and column.counterpart
        ):
            cats.append(_category_column(column, survey, sample, min_subjects))
        elif column.kind == "number":
            raw = number_values(schema, column.name, "number", sample)
            codec, settings = _number(
                partial(survey.codec, column.name), raw, sample.owners, min_subjects, bins
            )
            found.append((_plain(column, "number", codec), raw, settings))
        elif column.kind == "time":
            raw = number_values(schema, column.name, "offset", sample)
            finished = partial(Number.finish, Number.summarise(raw, sample.owners))
            codec, _ = _number(finished, raw, sample.owners, min_subjects, bins)
            found.append((_plain(column, "offset", codec), raw, {}))
    # The widest first: it is the main one. Runs last: whether one ends hangs on all the others.
    cats.sort(key=lambda c: (c.how != "ranked", c.how == "runs", -c.tokens))
    seen, widths = _tokens(schema, cats, sample), [c.tokens for c in cats]
    runs = [c.how == "runs" for c in cats]
    nums: list[EventColumn] = []
    dwells: list[EventColumn] = []
    for number, raw, settings in found:
        dwell = None
        if number.how == "number":
            told = Kinds.learn(raw, stamps / 1e6, sample.offsets, seen, widths, runs)
            dwell = Dwell.learn(
                raw, stamps / 1e6, sample.offsets, told.of(seen, sample.offsets), told.many, left,
                told, **settings,
            )  # fmt: skip
        if dwell:
            dwells.append(EventColumn(number.name, "dwell", dwell.vocabulary, -1, dwell))
        else:
            nums.append(number)
    horizon = {"day": 1, "week": 7}.get(mode) or _longest_days(stamps // DAY_US, sample)
    clock = Clock.learn(
        _gaps(stamps, sample), horizon_days=horizon, tick_s=step_us / 1e6, cut_s=cut_s
    )
    most = max(int(survey.longest), 1) if survey.longest < 20_000 else 20_000
    last_day = survey.spans[schema.time][1] // DAY_US
    return Coder(
        schema, mode, episodes, clock, step_us, tuple(cats), tuple(nums), tuple(subject), most,
        last_day, tuple(dwells),
    )  # fmt: skip


def _tokens(schema: Schema, cats: list[EventColumn], sample: Records) -> NDArray[np.int32]:
    """Tokens of a sample's events, shape (rows, categories)."""
    if not cats:
        return np.zeros((sample.rows, 0), np.int32)
    return np.column_stack([category_tokens(schema, c, sample) for c in cats]).astype(np.int32)


def _plain(column: Column, how: Literal["number", "offset"], codec: Number) -> EventColumn:
    return EventColumn(column.name, how, codec.vocabulary, codec.missing_token, codec)


def _number(
    finished: Callable[..., Number], values: NDArray[np.float64], owners: NDArray[np.int64],
    min_subjects: int, bins: int,
) -> tuple[Number, dict[str, Any]]:  # fmt: skip
    """The codec of a number and its settings; no bin at an end is halved until it is one subject's.

    Args:
        finished: From settings to the codec.
        values: The sample's, shape (rows,).
        owners: Subject of each, shape (rows,).
        min_subjects: Least subjects of the sample with a value in the first bin, and in the last.
        bins: Of equal mass, before those at the ends are halved.
    """
    settings: dict[str, Any] = {"bins": bins, "min_subjects": min_subjects, "spike_share": SPIKES}
    for halved in range(HALVED, 0, -1):
        codec = finished(**settings, halved=halved)
        token = codec.encode(values)
        ends = codec.bin_tokens[[0, -1]] if len(codec.bin_tokens) else codec.bin_tokens
        if all(len(np.unique(owners[token == end])) >= min_subjects for end in ends):
            return codec, {**settings, "halved": halved}
    return finished(**settings), settings


def _partners(schema: Schema) -> set[str]:
    return {c.partner for c in schema.columns if c.partner}


def _calendar(days: NDArray[np.int64], sample: Records) -> tuple[Mode, bool]:
    """The unit: the smallest calendar unit that holds every subject, or all, or episodes."""
    some = sample.lengths > 0
    first, last = days[sample.offsets[:-1][some]], days[sample.offsets[1:][some] - 1]
    if bool((first == last).all()):
        return "day", False
    if bool((floor_day(first, "week") == floor_day(last, "week")).all()):
        return "week", False
    lengths = sample.lengths[some]
    if np.quantile(lengths, 0.98) <= LONG and lengths.max() <= 10 * LONG:
        return "whole", False
    weeks = np.unique(sample.owners * 100_000 + floor_day(days, "week") // 7, return_counts=True)[1]
    return ("week" if np.quantile(weeks, 0.75) <= LONG else "day"), True


def _longest_days(days: NDArray[np.int64], sample: Records) -> int:
    some = sample.lengths > 0
    return int((days[sample.offsets[1:][some] - 1] - days[sample.offsets[:-1][some]]).max()) + 1


def _gaps(stamps: NDArray[np.int64], sample: Records) -> NDArray[np.float64]:
    inner = np.diff(sample.owners) == 0
    return np.asarray(np.diff(stamps)[inner] / 1e6)


def _category_column(
    column: Column, survey: Survey, sample: Records, min_subjects: int
) -> EventColumn:
    if column.kind == "identifier":
        return EventColumn(column.name, "ranked", RANKS + 2, RANKS + 1, None)
    codec: Category | Place = survey.codec(column.name, min_subjects=min_subjects)
    ranked = column.kind == "place" or codec.vocabulary > MOST_PLAIN
    if isinstance(codec, Category):
        ranked |= codec.rare_labels > MOST_PLAIN
        ranked |= codec.vocabulary > OWN_LABELS and _few_each(column, codec, sample)
    if ranked:
        return EventColumn(column.name, "ranked", RANKS + 2, RANKS + 1, codec)
    return EventColumn(column.name, "plain", max(codec.vocabulary, 1), codec.missing_token, codec)


def _few_each(column: Column, codec: Category, sample: Records) -> bool:
    """Whether subjects have few of a category's labels each: they are who they are by them."""
    codes, owners = identity_codes(column, sample), sample.owners
    some = codes >= 0
    each = np.unique(owners[some] * (int(codes.max(initial=0)) + 1) + codes[some])
    subjects = len(np.unique(owners[some]))
    return len(each) <= OWN_SHARE * codec.vocabulary * max(subjects, 1)


def _id_column(column: Column, sample: Records) -> list[EventColumn]:
    """How the ids of one column are coded; none where each row or subject simply has its own."""
    codes = identity_codes(column, sample)
    missing = bool((codes < 0).any())
    if column.per == "subject":
        return [EventColumn(column.name, "own", 2, 1, None)] if missing else []
    habit = Habit.of(codes, sample.owners)
    if habit.rows_an_id < REPEATED:
        return []
    if habit.one_run >= ONE_RUN_SHARE:
        return [EventColumn(column.name, "runs", 2 + missing, GONE if missing else -1, None)]
    return [EventColumn(column.name, "ranked", RANKS + 2, RANKS + 1, None)]


def _subject_column(column: Column, survey: Survey, min_subjects: int) -> EventColumn:
    settings = {} if column.kind == "time" else {"min_subjects": min_subjects}
    codec: Category | Number | Place | Time = survey.codec(column.name, **settings)
    return EventColumn(column.name, "plain", max(codec.vocabulary, 1), codec.missing_token, codec)
