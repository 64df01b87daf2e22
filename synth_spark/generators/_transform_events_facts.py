"""What the chain did to histories, for the model card; and what may still be recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Records
from synth_spark.core.seeds import generator
from synth_spark.generators._events_coder import Coder
from synth_spark.generators._transform_chain import OPERATIONS
from synth_spark.generators._transform_events import EventsTwin
from synth_spark.generators._transform_facts import effect, exact_share
from synth_spark.generators._transform_segments import Donors, Mixed, moved_times

POINTS = 4  # events of a history that someone may know
_PROBES = 300
Ints = NDArray[np.int64]


def facts_of(
    model: EventsTwin, raw: Donors, sample: Records, chain: tuple[str, ...],
    idle: Mapping[str, str], seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Effects of the operations on one block, and what is left of donors.

    Args:
        model: The model but for its facts.
        raw: The donors before they were protected.
        sample: Their records.
        chain: Operations that are carried out.
        idle: Operations left out, with the reason.
        seed: Of the probe.
    """
    rng = generator(seed, "transform/probe")
    tokens, made = replace(model, moves=replace(model.moves, swap=False)).mix(rng)
    idle = {**idle, **_without_work(model, chain)}
    done: dict[str, Any] = {"mix": _of_mix(made, model.donors)}
    if "shift" in chain:
        done["shift"] = _of_shift(made, model.donors)
    if "swap" in chain:
        done["swap"] = _of_swap(model, made, tokens, seed)
    if "jitter" in chain:
        done["jitter"] = _of_jitter(model, made, rng)
    drawn = model.sample(0, model.block_size, seed)
    return {
        "chain": list(chain),
        "meaning": {name: OPERATIONS[name] for name in chain},
        "nothing_to_work_on": idle,
        "effect": {n: e for n, e in done.items() if n not in idle},
        "histories_of_the_probe": model.block_size,
        "events_exactly_a_real_event": exact_share(drawn, _alike(drawn, sample)),
        "donors": model.donors.size,
        "strata": len(model.donors.starts) - 1,
        "smallest_group": int(np.diff(model.donors.starts).min()),
        "segment_h": model.donors.segment_s / 3_600,
        "columns": {
            c.name: [c.how, c.tokens]
            for c in (*model.coder.cats, *model.coder.nums, *model.coder.subject)
        },
        "recognised": _recognised(model.coder, raw, made, generator(seed, "transform/points")),
    }


def _alike(drawn: Records, sample: Records) -> Records:
    """The sample's columns that are drawn, ids left out as they are made anew."""
    return Records({n: sample.columns[n] for n in drawn.columns}, sample.offsets)


def _of_mix(made: Mixed, donors: Donors) -> dict[str, Any]:
    subjects = len(made.base)
    pairs, where = np.unique(made.owner * donors.size + made.donor, return_inverse=True)
    events = np.bincount(where.ravel(), made.lengths)
    owner = pairs // donors.size
    count, most = np.bincount(owner, minlength=subjects), np.zeros(subjects)
    np.maximum.at(most, owner, events)
    total = np.bincount(owner, events, subjects)
    one = np.bincount(made.owner, minlength=subjects) == 1
    return {
        "donors_a_history": _digits(count.mean()),
        "of_one_donor": _digits((count == 1).mean()),
        "of_one_segment": _digits(one.mean()),
        "share_of_the_main_donor": _digits((most / total).mean()),
        "distinct_donors": len(np.unique(made.donor)),
    }


def _of_shift(made: Mixed, donors: Donors) -> dict[str, Any]:
    weeks = np.abs(made.anchor - donors.anchor[made.base]) / 7
    return {
        "changed": _digits((weeks > 0).mean()),
        "shift": {
            "mean": _digits(weeks.mean()), "p95": _digits(np.quantile(weeks, 0.95)),
            "unit": "weeks",
        },
    }  # fmt: skip


def _of_swap(model: EventsTwin, made: Mixed, after: NDArray[np.int32], seed: int) -> dict[str, Any]:
    """The effect on numbers of events, and on the columns of subjects."""
    rng = generator(seed, "transform/swap")
    nums = model.donors.swapped(made.events, made.nums, model.moves.rank_share, rng)
    own = model.own
    before = np.ascontiguousarray(own.held[: own.columns, made.base].T)
    left = model.decoded(made, made.t, before, 0, seed)
    right = model.decoded(replace(made, nums=nums), made.t, after, 0, seed)
    schema = model.coder.schema
    names = {c.name for c in (*model.coder.nums, *model.coder.subject)}
    columns = tuple(c for c in schema.columns if c.name in names)
    return effect(replace(schema, columns=columns), left, right)


def _of_jitter(model: EventsTwin, made: Mixed, rng: np.random.Generator) -> dict[str, Any]:
    out: dict[str, Any] = {"shift": {}}
    if model.moves.jitter_s:
        t = moved_times(
            made.t, made.lengths, model.donors.segment_s, model.moves.jitter_s,
            model.moves.gap_share, model.coder.step_us / 1e6, rng,
        )  # fmt: skip
        move = np.abs(t - made.t) / 60
        out["changed"] = _digits((move > 0).mean())
        out["shift"][model.coder.schema.time] = {
            "mean": _digits(move.mean()), "p95": _digits(np.quantile(move, 0.95)),
            "unit": "minutes",
        }  # fmt: skip
    for column in model.coder.schema.of_kind("place"):
        if column.partner and model.moves.jitter_m:  # evenly over a disc
            mean, p95 = 2 / 3 * model.moves.jitter_m, np.sqrt(0.95) * model.moves.jitter_m
            out["shift"][column.name] = {
                "mean": _digits(mean), "p95": _digits(p95), "unit": "m (by construction)"
            }  # fmt: skip
    return out


def _without_work(model: EventsTwin, chain: tuple[str, ...]) -> dict[str, str]:
    out = {}
    places = any(c.partner for c in model.coder.schema.of_kind("place"))
    if "jitter" in chain and not model.moves.jitter_s and not places:
        out["jitter"] = "the times are no finer than it, and there is no place"
    if "swap" in chain and not model.coder.nums and not model.coder.subject:
        out["swap"] = "no numbers, and no columns of the subjects"
    if "shift" in chain and len(np.unique(model.donors.anchor)) < 2:
        out["shift"] = "all histories begin in one week"
    return out


def _recognised(coder: Coder, raw: Donors, made: Mixed, rng: np.random.Generator) -> dict[str, Any]:
    """How often some events fit a donor: week day, hour and the plain categories of each.

    After de Montjoye et al., "Unique in the Crowd", Scientific Reports 3:1376 (2013): four points
    of a history are looked up among all donors' histories. For a drawn history a fit means that
    one donor has all four; for a real one that another donor than its own has them.
    """
    plain = [j for j, c in enumerate(coder.cats) if c.how == "plain"]
    owners = np.repeat(np.arange(raw.size), np.diff(raw.offsets))
    real = _points(raw, np.arange(len(owners)), raw.t, raw.segment, raw.cats[:, plain])
    segment = np.repeat(made.segment, made.lengths)
    twin = _points(raw, made.events, made.t, segment, made.cats[:, plain])
    keys, code = np.unique(np.concatenate([real, twin]), axis=0, return_inverse=True)
    code = code.ravel()
    size = len(keys)
    pairs = np.unique(code[: len(real)] * raw.size + owners)
    starts = np.searchsorted(pairs, np.arange(size + 1) * raw.size)
    has = pairs % raw.size
    twin_owner = np.repeat(made.owner, made.lengths)
    fits = [
        _fits(codes, who, has, starts, own, rng)
        for codes, who, own in (
            (code[: len(real)], owners, True),
            (code[len(real) :], twin_owner, False),
        )
    ]
    return {
        "points": POINTS,
        "a_point": "week day, hour" + "".join(f", {coder.cats[j].name}" for j in plain),
        "drawn_histories_that_fit_a_donor": fits[1],
        "real_histories_that_fit_another": fits[0],
        "carried_whole": f"the order of events within {raw.segment_s // 3_600} hours",
    }


def _points(
    donors: Donors, events: Ints, t: NDArray[np.float64], segment: Ints, cats: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Week day, hour and categories of events, shape (events, 2 + categories)."""
    seconds = segment * donors.segment_s + t
    hours = (seconds // 3_600).astype(np.int64)
    return np.column_stack([hours // 24 % 7, hours % 24, cats[: len(events)].astype(np.int64)])


def _fits(
    code: Ints, owner: Ints, has: Ints, starts: Ints, own: bool, rng: np.random.Generator
) -> float | None:
    """Share of histories of which `POINTS` random points are all in one (other) donor's."""
    keys = np.unique(np.column_stack([owner, code]), axis=0)
    begin = np.flatnonzero(np.diff(keys[:, 0], prepend=-1))
    size = np.diff(np.append(begin, len(keys)))
    enough = np.flatnonzero(size >= POINTS)
    if not len(enough):
        return None
    found = []
    for i in rng.permutation(enough)[:_PROBES]:
        some = keys[begin[i] + rng.permutation(size[i])[:POINTS], 1]
        who = has[starts[some[0]] : starts[some[0] + 1]]
        for k in some[1:]:
            who = np.intersect1d(who, has[starts[k] : starts[k + 1]])
        found.append(len(who) > int(own))
    return _digits(np.mean(found))


def _digits(x: Any) -> float:
    return float(f"{float(x):.4g}")


__all__ = ["facts_of"]
