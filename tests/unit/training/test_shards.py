"""Shards read back as written, and the split by content."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from synth_spark.core.batch import Encoded
from synth_spark.core.ports import Schedule
from synth_spark.training.collective import Single
from synth_spark.training.loop import fit
from synth_spark.training.rows import Held, Spilled
from synth_spark.training.shards import Shards, ShardsError, feed, fingerprints, split
from tests import training_world as world


def events(subjects: int = 50, seed: int = 0) -> Encoded:
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 6, subjects)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Encoded(
        {"who": random.integers(0, 4, (subjects, 2)).astype(np.int32)},
        {"what": random.integers(0, 9, (offsets[-1], 3)).astype(np.int32),
         "gap": random.normal(size=(offsets[-1], 1)).astype(np.float32),
         "none": np.zeros((offsets[-1], 0), np.int32)},  # as the numbers of a table of texts
        offsets,
    )  # fmt: skip


def same(left: Encoded, right: Encoded) -> None:
    np.testing.assert_array_equal(left.offsets, right.offsets)
    for part in ("context", "events"):
        for name, array in getattr(left, part).items():
            other = getattr(right, part)[name]
            assert other.dtype == array.dtype
            np.testing.assert_array_equal(other, array)


def test_a_shard_is_read_back_as_it_was_written(tmp_path) -> None:
    data, valid = events(), np.arange(50) % 5 == 0
    shards = Shards(world.write_shards(tmp_path, data, valid, files=1))
    train, check = shards.read(0)
    same(train, data.take(np.flatnonzero(~valid)))
    same(check, data.take(np.flatnonzero(valid)))


def test_an_unfinished_folder_a_new_version_and_a_short_file_are_refused(tmp_path) -> None:
    with pytest.raises(ShardsError):
        Shards(tmp_path)
    world.shards(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["files"][1]["rows"] += 1
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    Shards(tmp_path).read(0)
    with pytest.raises(ShardsError, match="other counts"):
        Shards(tmp_path).read(1)
    (tmp_path / "part-00002.parquet").write_bytes(b"PAR1")
    with pytest.raises(ShardsError, match="cannot be read"):
        Shards(tmp_path).read(2)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"version": 2}))
    with pytest.raises(ShardsError, match="version 2"):
        Shards(tmp_path)


def test_what_is_learned_does_not_depend_on_the_number_of_files(tmp_path) -> None:
    trainee = world.Curve(Schedule(batch_size=64, max_epochs=2))
    weights = []
    for files in (1, 4):
        shards = Shards(world.shards(tmp_path / str(files), files=files))
        train, valid = feed(trainee, shards, Single(), tmp_path)
        assert isinstance(train, Held)
        assert (train.total, valid.total) == (540, 60)
        weights.append(fit(trainee, train, valid, seed=1).weights)
    np.testing.assert_array_equal(weights[0]["0.weight"], weights[1]["0.weight"])


def test_examples_above_the_bound_are_spilled_and_learned_as_well(tmp_path) -> None:
    plan = Schedule(batch_size=64, max_epochs=8, learning_rate=0.01, warmup_steps=5, ema=0.9)
    trainee = world.Curve(plan, width=32)
    shards = Shards(world.shards(tmp_path / "shards", subjects=3000, files=5))
    train, valid = feed(trainee, shards, Single(), tmp_path / "scratch", held_bytes=20_000)
    assert isinstance(train, Spilled)
    assert (train.total, valid.total) == (2700, 300)
    spilled = fit(trainee, train, valid, seed=1)
    held = fit(trainee, *feed(trainee, shards, Single(), tmp_path), seed=1)
    assert spilled.curve[-1]["valid_nats"] == pytest.approx(held.curve[-1]["valid_nats"], abs=0.03)
    assert spilled.curve[-1]["valid_nats"] < 0.45


def test_the_split_depends_on_content_and_seed_and_not_on_order() -> None:
    data = events(400)
    shuffled = data.take(np.random.default_rng(1).permutation(400))
    for side, other in zip(split(data, 0.25, 7), split(shuffled, 0.25, 7), strict=True):
        same(side, other)
    train, check = split(data, 0.25, 7)
    assert train.subjects + check.subjects == 400
    assert 70 <= check.subjects <= 130  # three standard deviations about 100
    assert split(data, 0.25, 8)[1].offsets.tolist() != check.offsets.tolist()


def test_equal_subjects_stand_on_the_same_side() -> None:
    data = events(60)
    twice = data.take(np.repeat(np.arange(60), 2))
    train, check = split(twice, 0.5, 3)
    assert not set(fingerprints(train).tolist()) & set(fingerprints(check).tolist())
    assert train.subjects % 2 == 0


def test_every_value_and_the_order_of_events_change_the_fingerprint() -> None:
    data = events(30, seed=2)
    marks = fingerprints(data)
    longest = int(np.argmax(np.diff(data.offsets)))
    a, b = int(data.offsets[longest]), int(data.offsets[longest + 1])
    for name in data.events:
        changed = data.events[name].copy()
        changed[a : a + 2] = changed[a : a + 2][::-1]
        if (changed == data.events[name]).all():
            continue
        other = fingerprints(replace(data, events=data.events | {name: changed}))
        assert np.flatnonzero(other != marks).tolist() == [longest]
    who = data.context["who"].copy()
    who[3, 1] += 1
    other = fingerprints(replace(data, context={"who": who}))
    assert np.flatnonzero(other != marks).tolist() == [3]
    assert b > a + 1
