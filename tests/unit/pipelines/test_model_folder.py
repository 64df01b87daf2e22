"""A model folder comes back whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synth_spark.core.batch import Records
from synth_spark.core.local import Local
from synth_spark.core.ports import learn
from synth_spark.core.schema import Column, Schema
from synth_spark.generators.independent import GENERATOR
from synth_spark.pipelines.model_folder import ModelFolderError, load_saved, save

SCHEMA = Schema(
    family="table", shape="flat", columns=(Column(name="x", kind="number", source_type="double"),)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records = Records.flat({"x": np.arange(100.0)})
    model = learn(GENERATOR.learn(SCHEMA, GENERATOR.Params(), 0), Local(records))
    facts = {"fit_s": 1.0}
    ids = {"#key": {"x": np.arange(3)}}
    save(
        tmp_path / "m", model, generator="independent", schema=SCHEMA, identifiers=ids, facts=facts
    )
    return tmp_path / "m"


def test_a_model_draws_the_same_after_a_round_trip(folder: Path, tmp_path: Path) -> None:
    saved = load_saved(folder)
    again = save(
        tmp_path / "again",
        saved.model,
        generator=saved.generator,
        schema=saved.schema,
        identifiers=saved.identifiers,
        facts={"fit_s": 2.0},
    )
    assert again == saved.sha256  # times are not part of the hash
    drawn = [
        load_saved(f).model.sample(3, 50, 7).columns["x"] for f in (folder, tmp_path / "again")
    ]
    np.testing.assert_array_equal(*drawn)
    assert saved.schema == SCHEMA


@pytest.mark.parametrize("name", ["model.json", "arrays.safetensors"])
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    with pytest.raises(ModelFolderError, match="changed"):
        load_saved(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "arrays.safetensors").unlink()
    with pytest.raises(ModelFolderError, match="whole"):
        load_saved(folder)


def test_the_card_is_json_with_the_models_facts(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    assert (card["generator"], card["about"]["subjects"]) == ("independent", 100)
