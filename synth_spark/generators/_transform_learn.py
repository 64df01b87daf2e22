"""The story of a flat table: survey, sample of donors, codes, protection, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.place import Place
from synth_spark.core.batch import Records
from synth_spark.core.ports import Learning
from synth_spark.core.schema import Schema
from synth_spark.core.seeds import generator
from synth_spark.errors import SynthError
from synth_spark.generators import _transform_ops as ops
from synth_spark.generators._flat_fields import join, split
from synth_spark.generators._flat_model import relations_in_words
from synth_spark.generators._flat_story import prepared
from synth_spark.generators._flat_tokens import Coder
from synth_spark.generators._transform_chain import OPERATIONS, chain_for
from synth_spark.generators._transform_facts import effect, exact_share
from synth_spark.generators._transform_flat import FlatTwin, precision_s
from synth_spark.generators._transform_steps import Amounts, Steps, Tokens, aggregated

if TYPE_CHECKING:
    from synth_spark.generators.transform import TransformParams

PROBE_ROWS = 4_096  # drawn once to measure what the chain does


class FewerThanGroupError(SynthError):
    """A table has fewer subjects than one group of the chain must hold."""

    code = "SYN-772"


def check_group(subjects: int, group: int) -> None:
    """Refuse a table that cannot fill one group.

    Raises:
        FewerThanGroupError: Fewer subjects than `group` (SYN-772).
    """
    if subjects < group:
        raise FewerThanGroupError(
            f"The table has {subjects} subjects, and a group must hold {group}.",
            hint="more records, or a smaller generator.params.group",
            subjects=subjects,
            group=group,
        )


def learn_flat(schema: Schema, params: TransformParams, seed: int) -> Learning:
    """Tell the story of a flat table.

    Raises:
        EmptyTableError: There are no rows (SYN-201).
        NothingToLearnError: There is no column to learn (SYN-705).
        FewerThanGroupError: Fewer rows than one group (SYN-772).
        RevealingChainError: The chain would hand out donors as they are (SYN-771).
    """
    chain, idle = chain_for("flat", params.chain)
    ready = yield from prepared(schema, params.min_subjects, True, params.donors, weeks=False)
    survey, coder, sample = ready.survey, ready.coder, ready.sample
    check_group(survey.subjects, params.group)
    model = _model(coder, sample, params, chain, seed)
    facts = {"subjects": survey.subjects, **_facts(model, sample, chain, idle, params, seed)}
    return replace(model, facts=facts)


def _model(
    coder: Coder, sample: Records, params: TransformParams, chain: tuple[str, ...], seed: int
) -> FlatTwin:
    """The model but for its facts: donors protected, steps learned."""
    raw = coded(coder, sample)
    ordered = np.array([d.field.kind == "number" for d in coder.drawn], np.bool_)
    sizes = [max(d.vocabulary, 1) for d in coder.drawn]
    donors = aggregated(raw, ordered, params.group)[0] if "microaggregate" in chain else raw
    amounts = Amounts(
        group=params.group,
        noise_share=params.noise_share,
        redraw_share=params.redraw_share,
        rank_share=params.rank_share,
    )
    steps = Steps.learn(donors, sizes, ordered, chain, amounts, seed)
    root: NDArray[np.float64] = np.zeros((0, 0))
    if "copula" in chain:
        joint = ops.correlation_of_scores(donors, list(steps.shares))
        root = np.asarray(np.linalg.cholesky(joint), np.float64)
        donors = donors[:, :0]
    else:
        every = np.ones(len(donors), np.bool_)
        donors = steps.run(
            donors, every, generator(seed, "transform/protect"), sweeps=params.sweeps
        )
        donors = donors[:, generator(seed, "transform/order").permutation(donors.shape[1])]
    jitter = (params.jitter_minutes, params.jitter_metres) if "jitter" in chain else (0.0, 0.0)
    ticks = _ticks(coder, sample, jitter[0])
    return FlatTwin(coder, steps, donors, root, ticks, jitter, {}, params.block_size)


def coded(coder: Coder, sample: Records) -> Tokens:
    """Tokens of a sample, shape (drawn columns, rows)."""
    return np.ascontiguousarray(coder.encode(sample)[:, : len(coder.drawn)].T)


def _ticks(coder: Coder, sample: Records, minutes: float) -> dict[str, float]:
    """Times of day that the jitter moves: those whose precision is finer than it."""
    values = split(coder.schema, coder.fields, sample)
    ticks = {f.name: precision_s(values[f.name]) for f in coder.fields if f.part == "second"}
    return {name: tick for name, tick in ticks.items() if 0 < tick < 60 * minutes}


def _facts(
    model: FlatTwin, sample: Records, chain: tuple[str, ...], idle: Mapping[str, str],
    params: TransformParams, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """What each operation did to a probe of rows, and what is left of real records."""
    coder, stages = model.coder, list[tuple[str, Tokens]]()
    rng = generator(seed, "transform/probe")
    _, values = model.block(PROBE_ROWS, rng, lambda n, t: stages.append((n, t.copy())))
    columns = join(coder.schema, coder.fields, values)
    final = Records.flat({name: columns[name] for name in sample.columns if name in columns})
    shown = [(name, _decoded(model, tokens, seed)) for name, tokens in stages]
    rows = np.unique(np.linspace(0, sample.rows - 1, min(sample.rows, PROBE_ROWS)).astype(np.int64))
    some = Records.flat({n: v[rows] for n, v in sample.columns.items() if n in columns})
    codes = _decoded(model, coded(coder, some), seed)
    done = {"codes": effect(coder.schema, some, codes)}
    if "microaggregate" in chain:
        ordered = model.steps.ordered
        centres = aggregated(coded(coder, some), ordered, min(params.group, len(rows)))[0]
        done["microaggregate"] = effect(coder.schema, codes, _decoded(model, centres, seed))
    for (_, before), (name, after) in pairwise(shown):
        done[name] = effect(coder.schema, before, after)
    if "jitter" in chain:
        done["jitter"] = _jittered(model, shown[-1][1], seed)
    idle = {**idle, **_without_work(model, chain)}
    return {
        "chain": list(chain),
        "meaning": {name: OPERATIONS[name] for name in chain},
        "nothing_to_work_on": idle,
        "effect": {n: e for n, e in done.items() if n not in idle},
        "rows_of_the_probe": PROBE_ROWS,
        "exactly_a_real_record": exact_share(
            final, Records.flat({n: sample.columns[n] for n in final.columns})
        ),
        "real_records_that_another_equals": _repeated(sample, list(final.columns)),
        "donors": int(model.donors.shape[1]),
        "smallest_group": _smallest(model, chain, params.group),
        "columns": {d.field.name: d.vocabulary for d in coder.drawn},
        "relations": relations_in_words(coder),
    }  # fmt: skip


def _decoded(model: FlatTwin, tokens: Tokens, seed: int) -> Records:
    """Values of tokens, always at the same places inside them."""
    values = model.values(tokens, generator(seed, "transform/inside"), {})
    return Records.flat(join(model.coder.schema, model.coder.fields, values))


def _jittered(model: FlatTwin, before: Records, seed: int) -> dict[str, Any]:
    """The effect of the jitter alone."""
    coder = model.coder
    values = split(coder.schema, coder.fields, before)
    model._jitter(values, {}, generator(seed, "transform/jitter"))
    return effect(coder.schema, before, Records.flat(join(coder.schema, coder.fields, values)))


def _without_work(model: FlatTwin, chain: tuple[str, ...]) -> dict[str, str]:
    """Operations of the chain that find no column here."""
    out = {}
    places = any(isinstance(d.codec, Place) for d in model.coder.drawn)
    if "jitter" in chain and not model.ticks_s and not (places and model.jitter[1]):
        out["jitter"] = "no time finer than it, and no place"
    if "rank_swap" in chain and model.steps.ranks is None:
        out["rank_swap"] = "no column of numbers"
    return out


def _smallest(model: FlatTwin, chain: tuple[str, ...], group: int) -> int | None:
    """Donors of the smallest stratum or group; None where there is neither."""
    sizes = [model.steps.smallest] if model.steps.smallest is not None else []
    return min([*sizes, *([group] if "microaggregate" in chain else [])], default=None)


def _repeated(sample: Records, names: list[str]) -> float:
    """Share of the sample's odd rows that some even row equals, the measure to read by."""
    halves = [
        Records.flat({n: sample.columns[n][np.arange(k, sample.rows, 2)] for n in names})
        for k in (0, 1)
    ]
    return exact_share(*halves) if sample.rows > 1 else 0.0
