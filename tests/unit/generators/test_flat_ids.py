"""Ids of a flat table that are missing in some rows, or that rows share."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from synth_spark.columns.determined import Determined
from synth_spark.columns.identifier import Identifier
from synth_spark.core.batch import ID_MARK, Coded, Records
from synth_spark.core.given import empty_like
from synth_spark.core.local import Local
from synth_spark.core.ports import Model, learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.shelf import GENERATORS
from synth_spark.core.wire import dumps, loads
from synth_spark.pipelines.drawer import ModelDrawer
from synth_spark.pipelines.model_folder import Saved

pytest.importorskip("torch")
from synth_spark.training.loop import train_local

ROWS, PARTIES = 3_000, 40
SCHEMA = Schema(
    family="table",
    shape="flat",
    columns=(
        Column(name="kind", kind="category", source_type="string"),
        Column(name="to", kind="identifier", source_type="string", counterpart=True),
        Column(name="ticket", kind="identifier", source_type="string"),
        Column(name="row", kind="identifier", source_type="string"),
    ),
)


@lru_cache
def records() -> Records:
    """Calls and texts go to one of 40 parties, the first of them most; one in five has a ticket."""
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 3, ROWS)
    share = 1 / np.arange(1, PARTIES + 1)
    to = rng.choice(PARTIES, ROWS, p=share / share.sum())
    ticket = np.where(rng.random(ROWS) < 0.2, np.arange(ROWS), -1)
    names = tuple(f"{k * 7919:08x}" for k in range(max(ROWS, PARTIES)))
    return Records.flat(
        {
            "kind": Coded(kind.astype(np.int32), ("call", "text", "data")),
            "to": Coded(np.where(kind == 2, -1, to).astype(np.int32), names[:PARTIES]),
            "ticket": Coded(ticket.astype(np.int32), names),
            "row": Coded(np.arange(ROWS, dtype=np.int32), names),
        }
    )


@lru_cache
def learned(name: str) -> Model:
    generator = GENERATORS.get(name)
    story = generator.learn(SCHEMA, generator.Params(), 0)
    return learn(story, Local(records(), train=train_local))


def drawer(name: str) -> ModelDrawer:
    states = {
        c.name: Identifier.finish(
            Identifier.summarise(records().columns[c.name], np.arange(ROWS))
        ).state()
        for c in SCHEMA.of_kind("identifier")
    }
    model = type(learned(name)).from_state(loads(dumps(learned(name).state())))
    return ModelDrawer(Saved(model, name, SCHEMA, states, Determined(()), {}, ""))


@pytest.mark.parametrize("name", ["autoregressive", "vae"])
def test_ids_are_missing_and_shared_as_in_the_records(name: str) -> None:
    """Shares of 3,000 rows: .1 is ten deviations off."""
    made = drawer(name)
    drawn = [made.draw(block, made.block_size, 3) for block in range(2)]
    kind = np.concatenate([r.columns["kind"].texts() for r, _ in drawn])
    ids = {n: np.concatenate([d[n] for _, d in drawn]) for n in ("to", "ticket", "row")}
    gone = np.array([i is None for i in ids["to"]])
    assert (gone == (kind == "data")).mean() > 0.98
    parties, rows = np.unique(ids["to"][~gone].astype(str), return_counts=True)
    assert len(parties) == PARTIES  # of both blocks together
    real = np.bincount(records().columns["to"].codes[records().columns["to"].codes >= 0])
    np.testing.assert_allclose(np.sort(rows / rows.sum()), np.sort(real / real.sum()), atol=0.03)
    tickets = [i for i in ids["ticket"] if i is not None]
    assert abs(len(tickets) / len(kind) - 0.2) < 0.1
    assert len(set(tickets)) == len(tickets)
    assert len(set(ids["row"])) == len(kind)


def test_the_model_holds_none_of_the_ids() -> None:
    saved = str(learned("autoregressive").state())
    assert not any(label in saved for label in records().columns["to"].labels[1:])


def test_a_table_of_conditions_without_ids_is_filled_all_the_same() -> None:
    model = learned("autoregressive")
    none = {c.name: empty_like(c, 40) for c in SCHEMA.columns}
    known = Records.flat({**none, "kind": Coded.of(["data", "call"] * 20)})
    whole = model.completer().complete(known, 1)
    to = whole.columns["to"]
    assert isinstance(to, Coded)
    assert all(label.startswith(ID_MARK) for label in to.labels)
    assert ((to.codes < 0) == (np.arange(40) % 2 == 0)).mean() > 0.9
