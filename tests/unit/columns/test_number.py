from __future__ import annotations

import numpy as np
import pytest

from synth_spark.columns import _numbers, _tail
from synth_spark.columns._lattice import lattice
from synth_spark.columns.number import Number
from synth_spark.columns.within import known_values, within
from synth_spark.core.conditions import Condition
from synth_spark.core.schema import Column, Schema
from synth_spark.core.wire import dumps, loads

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def _fresh_draws() -> None:
    """Every test draws from the start, in whatever order the tests run."""
    RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state


def codec_of(values, **settings):
    x = np.asarray(values, float)
    return Number.finish(Number.summarise(x, np.arange(len(x))), **settings)


def draw(codec, rows=20_000):
    rng = np.random.default_rng(1)
    tokens = rng.choice(codec.vocabulary, rows, p=codec.shares).astype(np.int32)
    return codec.decode(tokens, rng.random(rows))


@pytest.mark.parametrize(
    "values",
    [
        RNG.exponential(5, 3_000),
        RNG.normal(-40, 9, 900),
        RNG.integers(0, 60, 2_000),
        np.round(RNG.gamma(2, 30, 2_000), 2),
        RNG.integers(0, 900, 2_000) / 3,
        1e15 + RNG.integers(0, 900, 500),
        np.full(40, 7.0),
        [1.0, 2.0, 70.0],
    ],
    ids=["exponential", "negative", "whole", "cents", "thirds", "huge", "constant", "three rows"],
)
def test_decoded_tokens_encode_to_themselves(values):
    codec = codec_of(values)
    tokens = codec.encode(np.asarray(values, float))
    again = codec.encode(codec.decode(tokens, np.random.default_rng(0).random(len(tokens))))
    assert np.mean(tokens == again) > 0.995
    assert np.bincount(tokens, minlength=codec.vocabulary) / len(tokens) == pytest.approx(
        codec.shares
    )


def test_quantiles_come_back():
    x = np.exp(np.random.default_rng(3).normal(2, 1, 20_000))
    at = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999]
    assert np.quantile(draw(codec_of(x), 200_000), at) == pytest.approx(
        np.quantile(x, at), rel=0.08
    )


def test_sentinels_and_zeros_keep_their_share():
    x = np.concatenate([np.full(300, -1.0), np.full(40, 9_999.0), RNG.uniform(50, 90, 1_660)])
    y = draw(codec_of(x), 50_000)
    assert np.mean(y == -1) == pytest.approx(0.15, abs=0.01)
    assert np.mean(y == 9_999) == pytest.approx(0.02, abs=0.004)
    assert not np.any((y > 200) & (y < 9_000))


@pytest.mark.parametrize(("step", "unit"), [(1.0, 1.0), (0.05, 0.05), (25.0, 25.0), (1 / 3, 1 / 3)])
def test_the_step_of_a_column_is_kept(step, unit):
    x = RNG.integers(3, 4_000, 3_000) * step
    y = draw(codec_of(x))
    assert np.abs(y / unit - np.rint(y / unit)).max() < 1e-6


@pytest.mark.parametrize(("parts", "decimals"), [(60, 6), (60, 3), (3, 2), (3_600, 5), (1_440, 4)])
def test_rounded_parts_of_a_unit_are_kept_with_their_decimals(parts, decimals):
    x = np.round(RNG.integers(0, 24 * parts, 4_000) / parts, decimals)
    codec = codec_of(x)
    assert codec.parts == parts
    y = draw(codec, 20_000)
    np.testing.assert_array_equal(y, np.round(np.rint(y * parts) / parts, decimals))
    again = type(codec).from_state(codec.state())
    np.testing.assert_array_equal(draw(again, 20_000), y)


@pytest.mark.parametrize("decimals", [1, 2, 4])
def test_decimals_of_no_parts_stay_decimals(decimals):
    x = np.round(RNG.random(4_000) * 24, decimals)
    assert codec_of(x).parts == 0
    assert codec_of(np.array([0.25, 0.5, 0.75, 1.25])).parts == 0  # too few to tell quarters


def test_float_noise_does_not_split_values_or_hide_the_step():
    clean = RNG.integers(0, 500, 3_000) / 10
    noisy = clean + RNG.normal(0, 1e-12, 3_000)
    assert codec_of(noisy).vocabulary == codec_of(clean).vocabulary
    assert lattice(np.unique(noisy))[0] == 10


def test_the_bins_at_the_ends_are_halved_as_often_as_asked():
    x = np.arange(8_000) / 7
    plain, halved = codec_of(x, bins=10), codec_of(x, bins=10, halved=3)
    assert len(halved.uppers) == len(plain.uppers) + 6
    shares = [1 / 80, 1 / 80, 1 / 40, 1 / 20, *[0.1] * 8, 1 / 20, 1 / 40, 1 / 80, 1 / 80]
    assert halved.shares == pytest.approx(shares, abs=1e-3)
    few = codec_of(np.arange(100), bins=6, halved=3, exact_values=0)
    assert min(few.shares) >= 0.15  # no bin below its least rows


def test_an_extreme_of_one_subject_is_not_released():
    x = np.concatenate([RNG.integers(10, 5_000, 2_000).astype(float), [123_457.0]])
    codec = codec_of(x)
    assert 123_457.0 not in codec.value
    assert 123_457.0 not in draw(codec, 100_000)


def test_the_end_of_the_range_is_kept_where_many_share_it():
    x = np.concatenate([RNG.uniform(0, 99, 2_000), np.full(60, 100.0)])
    assert draw(codec_of(x), 50_000).max() <= 104
    assert np.mean(draw(codec_of(x), 50_000) == 100) == pytest.approx(60 / 2_060, abs=0.005)


def test_what_is_never_negative_stays_so():
    assert draw(codec_of(RNG.exponential(1, 500)), 100_000).min() >= 0


def test_missing_has_its_own_token_and_share():
    x = np.where(RNG.random(2_000) < 0.25, np.nan, RNG.normal(size=2_000))
    codec = codec_of(x)
    assert codec.missing_token == codec.vocabulary - 1
    assert np.isnan(draw(codec)).mean() == pytest.approx(np.isnan(x).mean(), abs=0.01)


def test_an_all_missing_column_is_one_token():
    codec = codec_of(np.full(9, np.nan))
    assert codec.vocabulary == 1
    assert np.isnan(codec.decode(codec.encode(np.full(3, np.nan)), np.zeros(3))).all()


def test_values_of_one_subject_are_no_spike():
    x, owners = np.concatenate([np.full(50, 5.0), RNG.normal(size=500)]), np.arange(550)
    owners[:50] = 0
    assert 5.0 not in Number.finish(Number.summarise(x, np.sort(owners))).spikes
    assert 5.0 in codec_of(x).spikes


def test_parts_merge_to_the_whole():
    x = np.round(RNG.gamma(2, 30, 4_000), 1)
    owners = np.arange(4_000)
    parts = [loads(dumps(Number.summarise(c, owners[: len(c)]))) for c in np.array_split(x, 7)]
    merged = parts[0]
    for part in parts[1:]:
        merged = Number.merge(merged, part)
    one, many = codec_of(x), Number.finish(merged)
    for name in ("at", "value", "shares", "uppers", "spikes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


def test_a_state_stays_bounded_and_keeps_spikes_ends_and_quantiles():
    x = np.concatenate([RNG.normal(size=9_000), np.full(500, 0.25)])
    state = _numbers.bounded(_numbers.counted(x, np.arange(len(x))), 1_000)
    assert len(state["values"]) <= 1_000
    assert state["rows"].sum() == 9_500
    assert state["rows"][(state["values"] == 0.25) & ~state["joined"]].tolist() == [500]
    assert state["values"][0] == x.min()
    codec, full = Number.finish(state), codec_of(x)
    at = [0.01, 0.1, 0.3, 0.7, 0.9, 0.99]
    assert np.quantile(draw(codec), at) == pytest.approx(np.quantile(draw(full), at), abs=0.05)
    assert codec.spikes.tolist() == [0.25]


def test_the_tail_fit_finds_the_parameters_it_was_drawn_with():
    u = (np.arange(1, 20_001) - 0.5) / 20_000
    excess = 3.0 / 0.2 * ((1 - u) ** -0.2 - 1)  # generalised Pareto, scale 3, xi 0.2
    scale, xi = _tail.fit(excess, np.ones(len(u), np.int64))
    assert (scale, xi) == (pytest.approx(3.0, rel=0.02), pytest.approx(0.2, abs=0.02))


@pytest.mark.parametrize(
    "noisy",
    [
        pytest.param(lambda k: (k / 12).astype(np.float32).astype(float), id="float32 twelfths"),
        pytest.param(lambda k: (k / 100).astype(np.float32).astype(float), id="float32 cents"),
        pytest.param(lambda k: np.round(k * 1.15078, 5) - 4e-16 * k, id="float64 noise"),
    ],
)
@pytest.mark.parametrize("most", [40, 4_000])
def test_float_noise_is_no_hindrance_and_comes_back(noisy, most):
    """Values a little off their lattice are the tokens of their own, and are drawn as they were."""
    rng = np.random.default_rng(2)
    x = noisy(rng.integers(1, most, 9_000))
    codec = codec_of(x)
    tokens = codec.encode(x)
    shares = np.bincount(tokens, minlength=codec.vocabulary) / len(x)
    np.testing.assert_allclose(shares, codec.shares)
    if most == 40:
        np.testing.assert_array_equal(codec.decode(tokens, rng.random(len(x))), x)


def test_drawn_values_are_as_narrow_as_the_records():
    k = np.random.default_rng(2).integers(1, 9_000, 9_000)
    codec = codec_of((k / 12).astype(np.float32).astype(float))
    drawn = draw(codec)
    assert codec.narrow
    assert (drawn == drawn.astype(np.float32)).all()
    assert not codec_of(k / 12).narrow
    assert not codec_of(k.astype(float)).narrow


def test_exact_and_joined_entries_of_one_value_stay_apart():
    """A large column's state has both; noise must not mix up which is which."""
    rng = np.random.default_rng(1)
    parts = [(rng.integers(0, 5_000, 6_000) / 3).astype(np.float32).astype(float) for _ in "ab"]
    states = [_numbers.bounded(_numbers.counted(x, np.arange(len(x))), 1_000) for x in parts]
    state = _numbers.added(*states)
    both = state["values"][state["joined"]]
    assert np.isin(both, state["values"][~state["joined"]]).any()
    codec = Number.finish(state)
    assert codec.shares.sum() == pytest.approx(1)
    for x in parts:
        assert np.isin(codec.encode(x), np.arange(codec.vocabulary)).all()


def test_noise_that_few_subjects_hold_is_not_told():
    """Ten write 0.3 each with another last digit: what comes back is 0.3."""
    rng = np.random.default_rng(3)
    x = np.round(rng.random(2_000), 2)
    x[x == 0.3] = 0.29
    x[:10] = 0.3 + 1e-9 * np.arange(1, 11)
    codec = codec_of(x)
    assert 0.3 in np.round(draw(codec), 12)
    assert not np.isin(draw(codec), x[:10]).any()


def test_noise_does_not_lower_the_natural_bounds():
    """One amount is a little below nothing: none is drawn below it."""
    x = np.round(np.abs(np.random.default_rng(4).normal(0, 5, 4_000)), 3)
    x[7] = -1.4e-17
    assert draw(codec_of(x), 200_000).min() >= -1e-12


@pytest.mark.parametrize("text", ["x=0.7", "x=0.7..0.9", "x=2.3.."])
def test_conditions_on_noisy_numbers_name_what_is_read(text):
    schema = Schema(
        family="table", shape="flat",
        columns=(Column(name="x", kind="number", source_type="double"),),
    )  # fmt: skip
    k = np.random.default_rng(5).integers(1, 40, 4_000)
    x = (k / 10).astype(np.float32).astype(float)
    clause = Condition.parse([text], schema).clauses[0]
    codec = codec_of(x)
    part = within(codec, clause)
    tokens = np.flatnonzero(part.share > 0)
    wanted = [v for v in np.unique(k / 10) if clause.low <= v <= clause.high]
    np.testing.assert_allclose(codec.decode(tokens, np.full(len(tokens), 0.5)), wanted, rtol=1e-6)
    held = np.round(x, 1)[np.asarray(clause.holds(x))]
    np.testing.assert_allclose(np.unique(held), wanted)
    assert known_values(codec, np.array(wanted)).all()
    assert known_values(codec, x).all()
