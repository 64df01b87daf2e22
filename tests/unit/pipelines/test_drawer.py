"""Claims about the ids that a drawer makes for the labels of a block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from synth_spark.columns.determined import Determined
from synth_spark.columns.identifier import Identifier
from synth_spark.core.batch import Coded, Records, subject_label
from synth_spark.core.schema import Column, Schema
from synth_spark.pipelines.drawer import ModelDrawer
from synth_spark.pipelines.model_folder import Saved

SESSION = Column(name="session", kind="identifier", source_type="int")
SCHEMA = Schema(
    family="events",
    shape="events",
    key=Column(name="who", kind="identifier"),
    columns=(SESSION,),
)


@dataclass(frozen=True, slots=True)
class Two:
    """Two subjects with two events each; sessions c0-0, none, c1-0 twice."""

    block_size: int = 8

    def sample(self, block: int, subjects: int, seed: int) -> Records:
        labels = tuple(f"c{block * self.block_size + i}-0" for i in range(2))
        codes = np.array([0, -1, 1, 1], np.int32)
        return Records({"session": Coded(codes, labels)}, np.array([0, 2, 4]))


def drawer(ids: Any, column: Column = SESSION) -> ModelDrawer:
    state = Identifier.finish(Identifier.summarise(ids, np.arange(len(ids)))).state()
    schema = replace(SCHEMA, columns=(column,))
    return ModelDrawer(Saved(Two(), "two", schema, {"session": state}, Determined(()), {}, ""))


def test_whole_numbers_stay_whole_numbers_of_the_sources_length() -> None:
    ids = drawer(np.arange(5_000.0, 5_100.0)).draw(0, 2, 1)[1]["session"]
    assert ids[1] is None
    assert ids[2] == ids[3] != ids[0]
    assert all(1_000 <= int(i) <= 9_999 for i in ids if i is not None)


def test_texts_keep_what_the_sources_ids_share() -> None:
    real = Coded.of([f"sess_{k:06d}" for k in range(0, 900_000, 9_000)])
    ids = drawer(real, replace(SESSION, source_type="string")).draw(0, 2, 1)[1]["session"]
    assert [len(i) for i in ids if i is not None] == [11] * 3
    assert all(i.startswith("sess_") for i in ids if i is not None)


def test_ids_of_two_blocks_differ() -> None:
    made = drawer(np.arange(5_000.0, 5_100.0))
    first, second = ({*made.draw(k, 8, 1)[1]["session"]} - {None} for k in (0, 1))
    assert not first & second


def test_a_subject_who_is_somebodys_other_party_has_its_own_id_there() -> None:
    """In its own block, in another one, and not where the table does not reach it."""
    schema = Schema(
        family="events",
        shape="events",
        key=Column(name="who", kind="identifier"),
        time="at",
        columns=(
            Column(name="at", kind="time"),
            Column(name="other", kind="identifier", counterpart=True),
        ),
    )

    class Calls:
        block_size = 4

        def sample(self, block: int, subjects: int, seed: int) -> Records:
            at = np.zeros(4, "datetime64[us]")
            codes = np.array([0, 1, 2, 3], np.int32)
            other = Coded(codes, (subject_label(1), subject_label(6), "c3-9", subject_label(2)))
            records = Records({"at": at, "other": other}, np.arange(5))
            return records.take(np.arange(subjects))

    saved = Saved(Calls(), "", schema, {}, Determined(), {}, "")  # type: ignore[arg-type]
    drawer = ModelDrawer(saved)
    made = [drawer.draw(b, 4, 7)[1] for b in range(2)]
    keys = np.concatenate([m["#key"] for m in made])
    for ids in made:
        assert ids["other"][[0, 1, 3]].tolist() == keys[[1, 6, 2]].tolist()
        assert ids["other"][2] not in keys
    few = drawer.draw(0, 3, 7)[1]
    assert few["other"][0] == few["#key"][1]
    assert few["other"][1] not in few["#key"]
