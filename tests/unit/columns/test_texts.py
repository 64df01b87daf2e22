"""Log lines beside drawn records: read back, coherent, without real ids, and under conditions."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from synth_spark.columns._text_column import NoTemplateError
from synth_spark.columns._text_mine import NoMinerError, check_miner
from synth_spark.columns._texts import Texts, texts
from synth_spark.core.batch import Coded, Records
from synth_spark.core.conditions import Condition, ImpossibleConditionError
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.core.seeds import generator
from synth_spark.core.wire import dumps, loads

SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="host", kind="identifier", per="subject"),
    time="at",
    columns=(
        Column(name="role", kind="category", per="subject"),
        Column(name="at", kind="time"),
        Column(name="level", kind="category"),
        Column(name="line", kind="text"),
    ),
)
START = np.datetime64("2024-05-01T10:00:00", "us")
SUBJECTS = 60


def logs(seed: int = 1) -> Records:
    """Disks open a block, read it and close it; doors count up; a door's failures are errors."""
    rng = generator(seed, "test.texts")
    role, level, lines, ends = [], [], [], [0]
    for s in range(SUBJECTS):
        if s % 2:
            for _ in range(6):
                block = f"blk_{int(rng.integers(10**11, 10**12))}"
                reads = rng.integers(100, 9_000, 2).tolist()
                lines += [
                    f"open {block} at 10.1.{s}.7",
                    *(f"read {n} bytes of {block}" for n in reads),
                ]
                lines.append(f"closed {block}")
            level += ["INFO"] * 24
        else:
            for i in range(24):
                failed = rng.random() < 0.2
                lines.append("door is stuck" if failed else f"passage {100 * s + i} by guest-{s}x")
                level.append("ERROR" if failed else "INFO")
        role += ["disk" if s % 2 else "door"] * 24
        ends.append(len(lines))
    at = START + np.tile(np.arange(24), SUBJECTS) * np.timedelta64(1_000_000, "us")
    coded = {"role": Coded.of(role), "level": Coded.of(level), "line": Coded.of(lines)}
    return Records({**coded, "at": at}, np.array(ends, np.int64))


REAL = logs()
FOUND: Texts = learn(texts(SCHEMA, min_subjects=5, relates=True), Local(REAL))


def drawn(
    found: Texts = FOUND, seed: int = 3, roles: tuple[str, ...] = ("disk", "door")
) -> Records:
    """Records as a generator would draw them: roles and times, here those of the real ones."""
    role = Coded((np.repeat(np.arange(SUBJECTS), 24) % len(roles)).astype(np.int32), roles)
    rest = Records({"role": role, "at": REAL.columns["at"]}, REAL.offsets)
    return found.complete(rest, SCHEMA, seed, 0)


def column(records: Records, name: str) -> list[str]:
    values = records.columns[name]
    assert isinstance(values, Coded)
    return [str(v) for v in values.texts()]


MADE = drawn()


def test_a_generator_learns_what_is_left_without_lines_and_what_goes_with_them() -> None:
    assert [c.name for c in FOUND.rest(SCHEMA).columns] == ["role", "at"]
    assert FOUND.made == ("line", "level")


def test_every_line_reads_back_as_a_template_that_the_subjects_role_has() -> None:
    templates = FOUND.columns[0].templates
    real = {
        (r, templates.parse(x)[0])
        for r, x in zip(column(REAL, "role"), column(REAL, "line"), strict=True)
    }
    made = {
        (r, templates.parse(x)[0])
        for r, x in zip(column(MADE, "role"), column(MADE, "line"), strict=True)
    }
    assert made == real
    assert all(t >= 0 for _, t in made)


def test_templates_come_as_often_and_follow_each_other_as_in_the_sample() -> None:
    disk = [
        x.split(" ")[0]
        for r, x in zip(column(MADE, "role"), column(MADE, "line"), strict=True)
        if r == "disk"
    ]
    followers = {(a, b) for a, b in itertools.pairwise(disk) if a != "closed"}
    assert followers == {("open", "read"), ("read", "read"), ("read", "closed")}


def test_a_block_that_is_read_or_closed_is_the_one_that_was_opened_last() -> None:
    for s in range(0, SUBJECTS, 2):
        lines = column(MADE, "line")[24 * s : 24 * s + 24]
        blocks = [re.search(r"blk_\d+", x).group() for x in lines]  # type: ignore[union-attr]
        opened = ""
        for line, block in zip(lines, blocks, strict=True):
            opened = block if line.startswith("open") else opened or block
            assert block == opened


def test_no_id_and_no_address_of_few_subjects_is_written() -> None:
    ids = r"blk_\d+|10\.1\.\d+\.7|guest-\w+"
    real = {m for x in column(REAL, "line") for m in re.findall(ids, x)}
    made = {m for x in column(MADE, "line") for m in re.findall(ids, x)}
    shared = {m for m in real & made if not m.startswith("10.")}  # there are 253 of those
    assert not {m for m in shared if m.startswith("blk")}
    assert not [x for x in FOUND.columns[0].state()["templates"] if "guest-" in x]


def test_parts_of_one_id_change_together() -> None:
    rng, lines = generator(9, "test.texts.parts"), []
    for _ in range(SUBJECTS):
        a, b = 0, 0
        for i in range(24):
            if i == 0 or rng.random() < 0.5:
                a, b = rng.integers(10**7, 10**8, 2).tolist()
            lines.append(f"task_{a}_{b} went on")
    records = Records({**REAL.columns, "line": Coded.of(lines)}, REAL.offsets)
    found: Texts = learn(texts(SCHEMA, min_subjects=5, relates=True), Local(records))
    made = [line.split(" ")[0].split("_")[1:] for line in column(drawn(found), "line")]
    inside = [i for i in range(1, len(made)) if i % 24]
    changes = [tuple(made[i][k] != made[i - 1][k] for k in (0, 1)) for i in inside]
    assert np.mean([a != b for a, b in changes]) < 0.02  # backoff may break a few
    assert 0.4 < np.mean([a for a, _ in changes]) < 0.6  # 1,380 of p = 1/2: 7 standard deviations


def test_levels_follow_from_the_lines() -> None:
    pairs = zip(column(MADE, "level"), column(MADE, "line"), strict=True)
    assert all((level == "ERROR") == (line == "door is stuck") for level, line in pairs)


def test_a_subjects_lines_hang_on_its_number_and_the_seed_only() -> None:
    rest = MADE.take(np.arange(10))
    half = FOUND.complete(rest, SCHEMA, 3, 0)
    assert column(half, "line") == column(MADE, "line")[:240]
    moved = FOUND.complete(MADE.take(np.arange(5, 10)), SCHEMA, 3, 5)
    assert column(moved, "line") == column(MADE, "line")[120:240]
    assert column(drawn(seed=4), "line") != column(MADE, "line")


def test_what_was_learned_survives_the_wire() -> None:
    back = Texts.from_state(loads(dumps(FOUND.state())))
    assert column(drawn(back), "line") == column(MADE, "line")
    assert back.in_words() == FOUND.in_words()


def test_a_condition_on_a_level_holds_in_every_line_and_names_the_roles_that_can() -> None:
    found, rest = FOUND.conditioned(Condition.parse(["level=ERROR"], SCHEMA))
    assert rest.text() == "role=door"
    made = drawn(found, roles=("door",))
    assert set(column(made, "level")) == {"ERROR"}
    assert set(column(made, "line")) == {"door is stuck"}


def test_a_condition_that_no_line_can_hold_is_refused() -> None:
    for texts_ in (["level=ERROR", "role=disk"], ["level=DEBUG"]):
        with pytest.raises(ImpossibleConditionError):
            FOUND.conditioned(Condition.parse(texts_, SCHEMA))


def test_without_relations_lines_are_drawn_by_their_share_alone() -> None:
    alone: Texts = learn(texts(SCHEMA, min_subjects=5, relates=False), Local(REAL))
    assert alone.made == ("line",)
    made = column(drawn(alone), "line")
    share = np.mean([x.startswith("read") for x in made])
    # 1,440 draws with p = 1/4 x 1: 4 standard deviations are 0.046
    assert abs(share - 0.25) < 0.046


def test_missing_lines_stay_missing_as_often() -> None:
    gone = np.arange(REAL.rows) % 4 == 0
    lines = REAL.columns["line"]
    assert isinstance(lines, Coded)
    some = Coded(np.where(gone, -1, lines.codes).astype(np.int32), lines.labels)
    found: Texts = learn(
        texts(SCHEMA, min_subjects=5, relates=False),
        Local(Records({**REAL.columns, "line": some}, REAL.offsets)),
    )
    made = np.mean([x == "None" for x in column(drawn(found), "line")])
    assert abs(made - 0.25) < 0.046  # 4 standard deviations of 1,440 draws


def test_a_flat_table_gets_lines_that_go_with_its_row() -> None:
    rng = generator(5, "test.texts.flat")
    kind = rng.integers(0, 2, 600).astype(np.int32)
    lines = [
        f"paid {n} EUR" if k else f"owes since {n} days"
        for k, n in zip(kind, range(600), strict=True)
    ]
    schema = Schema(
        family="table",
        shape="flat",
        columns=(
            Column(name="kind", kind="category"),
            Column(name="n", kind="number"),
            Column(name="line", kind="text"),
        ),
    )
    flat = Records.flat(
        {"kind": Coded(kind, ("debtor", "payer")), "n": np.zeros(600), "line": Coded.of(lines)}
    )
    found: Texts = learn(texts(schema, min_subjects=5, relates=True), Local(flat))
    assert [c.name for c in found.rest(schema).columns] == ["n"]
    made = found.complete(Records.flat({"n": np.zeros(50)}), schema, 1, 0)
    assert all(
        (k == "payer") == x.startswith("paid")
        for k, x in zip(column(made, "kind"), column(made, "line"), strict=True)
    )


def test_a_column_without_a_template_that_is_told_is_refused() -> None:
    own = Coded.of([f"{'abcdefghij'[i // 144]} {'klmnopqrst'[i // 144]}" for i in range(REAL.rows)])
    few = Records({**REAL.columns, "line": own}, REAL.offsets)
    with pytest.raises(NoTemplateError):
        learn(texts(SCHEMA, min_subjects=20, relates=True), Local(few))


def test_a_table_without_lines_is_left_alone() -> None:
    plain = replace(SCHEMA, columns=SCHEMA.columns[:-1])
    found: Texts = learn(texts(plain, min_subjects=5, relates=True), Local(REAL))
    assert found.rest(plain) == plain
    assert found.complete(REAL, plain, 1, 0).columns == REAL.columns


def test_without_the_miner_a_plan_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth_spark.columns._text_mine.find_spec", lambda _: None)
    with pytest.raises(NoMinerError):
        check_miner()
