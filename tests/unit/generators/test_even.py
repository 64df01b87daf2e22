"""Claims about draws that are spread evenly over the subjects of a group."""

from __future__ import annotations

import numpy as np

from synth_spark.generators._even import GROUP, even, groups
from synth_spark.generators._forest import Forest


def test_rows_alike_take_one_value_from_each_part_of_the_range() -> None:
    rng = np.random.default_rng(0)
    u = even(np.zeros(GROUP), np.zeros(GROUP, np.int64), rng.random(GROUP))
    assert np.diff(np.sort(u)).max() < 1.001 / GROUP
    half = np.repeat([1.0, 2.0], GROUP // 2)
    u = even(half, np.zeros(GROUP, np.int64), rng.random(GROUP))
    for part in (u[half == 1], u[half == 2]):
        assert np.diff(np.sort(part)).max() < 2.001 / GROUP


def test_each_row_is_uniform_and_groups_do_not_hang_together() -> None:
    """4,000 repeats: five standard errors of a mean are .023, of a share of ten .024, of r .08."""
    rng, known = np.random.default_rng(1), np.array([0.0, 0, 1, 2, 2, 0, 1, 1, 5])
    of = np.repeat([0, 1], [5, 4])
    drawn = np.array([even(known, of, rng.random(9)) for _ in range(4_000)])
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 0.023
    tenth = np.array([np.bincount((row * 10).astype(int), minlength=10) for row in drawn.T]) / 4_000
    assert np.abs(tenth - 0.1).max() < 0.024
    assert np.abs(np.corrcoef(drawn.T)[:5, 5:]).max() < 0.08


def test_a_group_does_not_depend_on_the_subjects_behind_it() -> None:
    rng = np.random.default_rng(2)
    known, u = rng.integers(0, 4, 3 * GROUP).astype(float), rng.random(3 * GROUP)
    every = even(known, groups(np.arange(3 * GROUP)), u)
    some = even(known[:GROUP], groups(np.arange(GROUP)), u[:GROUP])
    np.testing.assert_array_equal(every[:GROUP], some)


def test_the_mean_of_few_draws_lies_nearer_to_the_models() -> None:
    """Half the deviation or less; it is a third, and of 200 means known to 5 %."""
    rng = np.random.default_rng(3)
    given = rng.normal(size=(2_000, 2))
    goal = given[:, 0] + rng.normal(size=2_000)
    forest = Forest.fit(given, goal, leaf=40, seed=1, name="y", trees=10)
    rows, together = given[:GROUP], np.zeros(GROUP, np.int64)
    means = [
        [forest.draw(rows, u, part).mean() for part in (None, together)]
        for u in rng.random((200, GROUP, 4))
    ]
    alone, spread = np.array(means).std(axis=0)
    assert spread < 0.5 * alone
