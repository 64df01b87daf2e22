from __future__ import annotations

import re
import uuid

import numpy as np
import pytest

from synth_spark.columns.identifier import (
    CODEC,
    EXAMPLE,
    Identifier,
    NeverLearnedError,
    TooManyIdsError,
    permute,
)
from synth_spark.core.batch import Coded

RNG = np.random.default_rng(2)


@pytest.fixture(autouse=True)
def _fresh_draws() -> None:
    """Every test draws from the start, in whatever order the tests run."""
    RNG.bit_generator.state = np.random.default_rng(2).bit_generator.state


def learned(values: Coded | np.ndarray, parts: int = 1) -> Identifier:
    rows = np.arange(len(values))
    states = [CODEC.summarise(values[cut], cut) for cut in np.array_split(rows, parts)]
    state = states[0]
    for other in states[1:]:
        state = CODEC.merge(state, other)
    return CODEC.finish(state)


def numbers(count: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.uint64)


@pytest.mark.parametrize("room", [1, 2, 3, 7, 64, 1_000, 4_097])
def test_the_permutation_hits_every_number_of_its_room_once(room: int) -> None:
    assert sorted(permute(numbers(room), room, 12345).tolist()) == list(range(room))


def test_all_ids_of_a_small_format_are_different() -> None:
    small = Identifier(("=ab", "alnum", "=c", "=xyz"), whole=False)
    assert small.room == 2 * 36 * 3
    assert len(set(small.ids(numbers(small.room), 5))) == small.room


@pytest.mark.parametrize("width", [14, 15, 16, 32])
def test_no_two_of_a_hundred_thousand_long_ids_are_equal(width: int) -> None:
    ids = Identifier(("hex",) * width, whole=False).ids(numbers(100_000), 1)
    assert len(set(ids)) == 100_000
    assert {len(i) for i in ids[:100]} == {width}


def test_ids_depend_on_seed_column_and_number_only() -> None:
    form = Identifier(("hex",) * 32, whole=False)
    whole = form.ids(numbers(100), 1)
    np.testing.assert_array_equal(whole[40:60], form.ids(numbers(20, 40), 1))
    assert not set(whole) & set(form.ids(numbers(100), 2))
    assert not set(whole) & set(form.ids(numbers(100), 1, "other"))


@pytest.mark.parametrize(
    ("texts", "pattern"),
    [
        ([uuid.UUID(bytes=RNG.bytes(16), version=4).hex for _ in range(500)], r"[0-9a-f]{32}"),
        (
            [str(uuid.UUID(bytes=RNG.bytes(16), version=4)) for _ in range(500)],
            r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        ),
        ([f"+22177{n:07d}" for n in RNG.integers(0, 10**7, 500)], r"\+22177\d{7}"),
        ([f"{n:08X}" for n in RNG.integers(0, 2**32, 500)], r"[0-9A-F]{8}"),
        ([f"user-{n:05d}" for n in RNG.integers(0, 10**5, 500)], r"user-\d{5}"),
    ],
)
def test_new_ids_are_written_as_the_old_ones(texts: list[str], pattern: str) -> None:
    ids = learned(Coded.of(texts)).widened(1_000).ids(numbers(1_000), 3)
    assert all(re.fullmatch(pattern, i) for i in ids)


def test_a_prefix_of_few_subjects_is_not_kept() -> None:
    few = learned(Coded.of([f"boss{n:03d}" for n in range(10)]))
    many = learned(Coded.of([f"boss{n:03d}" for n in range(500)]))
    assert not any(i.startswith("boss") for i in few.ids(numbers(50), 1))
    assert all(i.startswith("boss") for i in many.ids(numbers(50), 1))


def test_the_state_holds_no_id() -> None:
    state = CODEC.summarise(Coded.of(["4143a8f957bed002", "8f811a202efbc716"]), np.arange(2))
    assert "4143a8f957bed002" not in str(state)
    assert CODEC.finish(state).state() == {
        "places": ["hex"] * 16, "whole": False, "range": [0, -1],
    }  # fmt: skip


def test_learning_in_parts_equals_learning_at_once() -> None:
    _, values, _ = EXAMPLE
    assert learned(values, 3) == learned(values)


@pytest.mark.parametrize("top", [2**31 - 1, 9_999_999_999, 2**63 - 1])
def test_whole_numbers_stay_numbers_of_the_same_width_inside_the_type(top: int) -> None:
    values = np.linspace(10 ** (len(str(top)) - 1), top * 0.99, 200)
    form = learned(values)
    made = [int(i) for i in form.ids(numbers(1_000), 1)]
    assert len(set(made)) == 1_000
    assert {len(str(n)) for n in made} == {len(str(top))}
    assert max(made) <= (2**31 - 1 if top == 2**31 - 1 else 2**63 - 1)


def test_running_numbers_are_made_anew_over_their_range() -> None:
    values = RNG.permutation(np.arange(2.0, 5_226.0))[:3_010]
    form = learned(values, parts=3)
    made = np.array([int(i) for i in form.ids(numbers(3_010), 1)])
    assert len(set(made.tolist())) == 3_010
    assert 1 <= made.min() < 60
    assert 5_000 < made.max() <= 5_299
    # uniform on both sides: quartiles of 3,010 of some 5,200 numbers, five standard errors
    assert np.abs(np.quantile(made, (0.25, 0.5, 0.75)) / 5_200 - (0.25, 0.5, 0.75)).max() < 0.05


def test_the_lowest_and_highest_whole_number_of_few_subjects_are_not_kept() -> None:
    form = learned(np.concatenate([[7.0], np.arange(40_000.0, 60_000.0), np.full(1, 9_876_543.0)]))
    assert form.pattern() == "40000..59999"


def test_numbers_beyond_a_range_go_on_above_it_whatever_else_is_drawn() -> None:
    form = learned(np.arange(100.0, 200.0))
    whole = form.ids(numbers(300), 1)
    assert len(set(whole)) == 300
    np.testing.assert_array_equal(whole[80:150], form.widened(150).ids(numbers(70, 80), 1))


def test_few_whole_numbers_have_no_range() -> None:
    assert learned(np.arange(1_000.0, 1_030.0)).pattern() == "9999"


def test_a_format_without_room_is_refused_and_can_be_widened() -> None:
    form = learned(Coded.of([f"{n:02d}" for n in range(100)]))
    with pytest.raises(TooManyIdsError) as caught:
        form.ids(numbers(101), 1)
    assert caught.value.facts["room"] == 100
    wide = form.widened(1_000)
    assert wide.places == ("digit",) * 4  # 2,000 ids need four digits
    assert len(set(wide.ids(numbers(1_000), 1))) == 1_000


def test_a_column_without_any_id_gets_a_format_all_the_same() -> None:
    empty = learned(Coded.of([None, None]))
    assert re.fullmatch(r"[0-9a-f]{10}", empty.ids(numbers(1), 1)[0])
    assert CODEC.finish(None) == empty


def test_ids_have_no_tokens() -> None:
    form = CODEC.from_state({"places": ["hex"], "whole": False})
    with pytest.raises(NeverLearnedError):
        form.encode(Coded.of(["a"]))
    with pytest.raises(NeverLearnedError):
        form.decode(np.zeros(1, np.int32), np.zeros(1))
