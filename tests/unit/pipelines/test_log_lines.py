"""A run over log lines, with a workshop that works in memory and draws as workers do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth_spark.config import STEPS, plan_from
from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import Condition
from synth_spark.core.local import Local
from synth_spark.core.progress import silent
from synth_spark.core.schema import Column, Schema
from synth_spark.metrics import _example as example
from synth_spark.pipelines.drawer import load_drawer
from synth_spark.pipelines.folder import RunFolder
from synth_spark.pipelines.run import Job, run

SCHEMA = Schema(
    family="events",
    shape="events",
    key=example.LINES.key,
    time="at",
    columns=(*example.LINES.columns, Column(name="verb", kind="category")),
)


def with_verbs(records: Records) -> Records:
    """A column that follows from the lines: their first word."""
    lines = records.columns["line"]
    assert isinstance(lines, Coded)
    verbs = Coded.of([str(x).split(" ")[0] for x in lines.texts()])
    return Records({**records.columns, "verb": verbs}, records.offsets)


@dataclass
class Memory:
    """Keeps every table as records; draws twins with a model's drawer."""

    tables: dict[str, Records] = field(default_factory=dict)

    def ingest(self, plan: Any, schema: Any) -> dict[str, Any]:
        for seed, part in enumerate(("train", "holdout")):
            self.tables[part] = with_verbs(example.lines(seed=seed + 1))
        counts = {"rows_in": 2, "rows_kept": 2, "rows_quarantined": 0, "rows_repeated": 0}
        return {**counts, "subjects_train": 60, "subjects_holdout": 60, "identifiers": {}}

    def engine(self, part: str) -> Local:
        return Local(self.tables[part], parts=2)

    def draw(
        self, model: Path, table: str, shares: Any, *, seed: int, facts: dict[str, Any]
    ) -> dict[str, Any]:
        subjects = sum(s.subjects for s in shares)
        self.tables[table] = load_drawer(str(model)).draw(0, subjects, seed)[0]
        return {"rows": self.tables[table].rows, "subjects": subjects, "seconds": 0.1}

    def deliver(self, table: str, out: str) -> None:
        """Nothing is delivered here."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Memory, Any]:
    folder, shop = tmp_path_factory.mktemp("run"), Memory()
    plan = plan_from({"generator": {"name": "markov"}})
    run_folder = RunFolder(folder)
    run_folder.open(plan.to_yaml())
    found = run(Job(plan, SCHEMA, run_folder, shop, silent), STEPS, lambda job, e: None)
    return folder, shop, found.evaluation


def test_the_twin_has_lines_that_read_and_follow_each_other_as_the_real_ones(done: Any) -> None:
    _, shop, evaluation = done
    assert evaluation.line("line_types").value == 1.0
    order = evaluation.line("line_order")
    # 60 subjects of about 14 lines on either side; the floor is that of 60 other real ones
    assert order.value < 2 * order.floor + 0.05
    assert evaluation.line("line_order").independence > 0.3
    assert shop.tables["twin"].columns.keys() == shop.tables["train"].columns.keys()


def test_the_card_says_what_the_lines_are(done: Any) -> None:
    card = (done[0] / "models" / "twin" / "card.json").read_text()
    assert "line: 5 templates with 6 parameters; 0 of 885 lines" in card  # open for three users


def test_what_follows_from_a_line_follows_in_the_twin(done: Any) -> None:
    twin = done[1].tables["twin"]
    pairs = zip(twin.columns["verb"].texts(), twin.columns["line"].texts(), strict=True)
    assert all(line.split(" ")[0] == verb for verb, line in pairs)


def test_a_drawer_under_a_condition_writes_only_lines_that_hold_it(done: Any) -> None:
    drawer = load_drawer(str(done[0] / "models" / "twin"))
    only = drawer.conditioned(Condition.parse(["verb=read|open"], SCHEMA))
    records, _ = only.draw(0, 20, 5)
    assert set(records.columns["verb"].texts()) == {"read", "open"}
    assert {line.split(" ")[0] for line in records.columns["line"].texts()} == {"read", "open"}


def test_a_subject_does_not_hang_on_how_many_are_drawn(done: Any) -> None:
    drawer = load_drawer(str(done[0] / "models" / "twin"))
    few, many = (drawer.draw(0, n, 5)[0] for n in (7, 30))
    part = many.take(np.arange(7))
    for name in few.columns:
        if isinstance(few.columns[name], Coded):
            assert few.columns[name].texts().tolist() == part.columns[name].texts().tolist()
