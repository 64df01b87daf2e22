"""What a simulation starts from without records: its settings, and shares that are stated."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from synth_spark.core.schema import Schema
from synth_spark.errors import SynthError
from synth_spark.generators._sim_facts import Facts, Labels
from synth_spark.generators._sim_params import SimulationParams, default_rhythm, weights_of
from synth_spark.generators._sim_rules import RULES, makes
from synth_spark.generators._sim_town import Town, made_town, town_of_file


class ColdColumnError(SynthError):
    """Without records a column has no rule that makes it, and no shares are stated."""

    code = "SYN-765"


def town_for(params: SimulationParams, seed: int) -> Town:
    """The cells that the settings name, or a made town."""
    if params.cells_file:
        return town_of_file(params.cells_file)
    return made_town(params.cells, params.town_km, (params.latitude, params.longitude), seed)


def cold_facts(schema: Schema, params: SimulationParams, seed: int) -> Facts:
    """Facts from settings alone.

    Raises:
        ColdColumnError: A column has no rule and no stated shares (SYN-765).
    """
    rule = RULES[schema.family]
    labels: dict[str, Labels] = dict(rule.labels(params))
    for name, weights in params.shares.items():
        found = weights_of(weights)
        before = labels.get(name)
        labels[name] = replace(before, labels=found[0], shares=found[1]) if before else Labels(
            *found, theta=params.taste
        )  # fmt: skip
    known = {*labels, *rule.makes, params.label, schema.time}
    known |= {c.name for c in schema.columns if c.kind == "identifier"}
    missing = [c.name for c in schema.columns if c.name not in known]
    if missing:
        near = get_close_matches(missing[0], known, n=1)
        raise ColdColumnError(
            f"No rule of {schema.family} makes {missing[0]}, and there are no records to learn it.",
            hint=(f"{near[0]!r}? or " if near else "")
            + f"generator.params.shares: {{{missing[0]}: {{a: 1, b: 2}}}}",
            columns=missing,
        )
    names = {c.name for c in schema.columns}
    facts = Facts(
        schema=schema,
        rule=schema.family,
        params=params,
        rhythm=default_rhythm(),
        town=town_for(params, seed),
        labels={n: v for n, v in labels.items() if n in names or n in rule.makes},
        tables={"step_s": np.array([rule.step_s])},
    )
    return rule.ready(facts)


def in_words(facts: Facts) -> dict[str, Any]:
    """What was fitted and what was assumed, for the model card."""
    params = facts.params
    plain = {
        name: getattr(params, name)
        for name in params.__slots__
        if isinstance(getattr(params, name), int | float) and name not in facts.fitted
    }
    ruled = makes(facts)
    others = [
        c.name for c in facts.schema.columns if c.name not in ruled and c.kind != "identifier"
    ]
    return {
        "fitted": facts.fitted,
        "assumed": plain,
        "cells": facts.town.size,
        "cells_placed": facts.town.placed,
        "by_own_shares": others,
        "scenarios": [s.label for s in facts.scenarios],
    }
