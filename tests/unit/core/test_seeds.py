"""Random numbers depend on seed, stream and number alone."""

from __future__ import annotations

import numpy as np

from synth_spark.core.seeds import generator, uniforms


def test_draws_do_not_depend_on_partitions() -> None:
    ids = np.arange(10_000, dtype=np.uint64)
    cut = [uniforms(7, "visits.dwell_s", part) for part in np.array_split(ids, 7)]
    np.testing.assert_array_equal(np.concatenate(cut), uniforms(7, "visits.dwell_s", ids))


def test_uniforms_are_uniform() -> None:
    # 20 equal bins of 100,000 draws: chi-square with 19 degrees, above 50 in 1 of 10,000 seeds.
    u = uniforms(3, "x", np.arange(100_000, dtype=np.uint64))
    counts = np.histogram(u, 20, (0, 1))[0]
    assert ((counts - 5_000) ** 2 / 5_000).sum() < 50


def test_streams_blocks_and_seeds_differ_and_repeat() -> None:
    first = generator(1, "a", 0).random(4)
    np.testing.assert_array_equal(first, generator(1, "a", 0).random(4))
    for other in (generator(2, "a", 0), generator(1, "b", 0), generator(1, "a", 1)):
        assert not np.intersect1d(first, other.random(4)).size


def test_blocks_of_one_stream_do_not_overlap() -> None:
    a, b = generator(1, "a", 0).random(100_000), generator(1, "a", 1).random(100_000)
    assert not np.intersect1d(a, b).size
