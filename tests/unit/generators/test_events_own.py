"""Claims about the shares of a subject's ranks over all its units."""

from __future__ import annotations

import numpy as np

from synth_spark.generators._events_own import MIXED, _as_drawn, _somewhere, falling


def pooled(row: np.ndarray) -> np.ndarray:
    """Pool adjacent violators, one block after the other."""
    blocks: list[list[float]] = []
    for value in row:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            (b, m), (a, n) = blocks.pop(), blocks.pop()
            blocks.append([(a * n + b * m) / (n + m), n + m])
    return np.concatenate([np.full(int(n), value) for value, n in blocks])


def test_shares_of_ranks_fall_as_pooling_adjacent_violators_makes_them() -> None:
    drawn = np.random.default_rng(0).random((200, 10))
    drawn[0] = 0.0
    drawn[1, 1:] = 0.5
    made = falling(drawn)
    np.testing.assert_allclose(made, [pooled(row) for row in drawn], atol=1e-12)
    np.testing.assert_allclose(made.sum(axis=1), drawn.sum(axis=1))


def test_labels_that_a_profile_lacks_keep_what_the_episodes_have_of_them() -> None:
    own = np.array([[0.8, 0.2, 0.0], [1.0, 0.0, 0.0]])
    owner, n = np.array([0, 0, 1]), np.array([10.0, 30.0, 5.0])
    share = np.array([[1.0, 0.0, 0.0], [0.5, 0.4, 0.1], [1.0, 0.0, 0.0]])
    found = _as_drawn(own, share, owner, n)
    third = 0.1 * 30 / 40
    np.testing.assert_allclose(found[0], np.array([0.8, 0.2, third]) / (1 + third))
    assert found[1].tolist() == [1, 0, 0]


def test_what_is_in_no_episode_comes_at_one_time_and_not_a_little_every_week() -> None:
    owner, n = np.repeat([0, 1], 4), np.array([5.0, 0, 5, 5, 0, 0, 0, 2])
    share = np.zeros((8, 4))
    share[:, 0] = 1.0
    own = np.full((2, 4), 0.25)
    found = _somewhere(share, own, owner, n)
    new = (found > 0) & (share == 0)
    assert new[:4].sum(axis=0).tolist() == [0, 1, 1, 1]
    assert len(set(np.flatnonzero(new[:4].any(axis=1)).tolist())) > 1  # not all in one week
    assert not new[1].any()  # nor in a week without events
    assert new[7].tolist() == [False, True, True, True]
    assert (found[new] == MIXED).all()
