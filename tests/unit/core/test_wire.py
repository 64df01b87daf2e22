"""Trees travel unchanged, and bytes of anything else are refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from synth_spark.core.wire import WireError, dumps, loads


def test_a_tree_comes_back_as_it_was() -> None:
    tree = {
        "n": None,
        "t": (1, "a", [True, 2.5]),
        ("a", 1): {"x": np.array([[1.5, np.nan]]), 7: b"\x00\xff"},
        "when": np.array(["2024-01-01", "NaT"], dtype="datetime64[us]"),
        "empty": np.zeros((0, 3), dtype=np.int32),
        "$": "a key that looks like a mark",
    }
    back = loads(dumps(tree))
    assert back.keys() == tree.keys()
    assert [back[k] for k in ("t", "$", "n")] == [tree[k] for k in ("t", "$", "n")]
    np.testing.assert_array_equal(back[("a", 1)]["x"], tree[("a", 1)]["x"])
    assert back[("a", 1)][7] == b"\x00\xff"
    np.testing.assert_array_equal(back["when"], tree["when"])
    assert (back["empty"].shape, back["empty"].dtype) == ((0, 3), np.int32)


@pytest.mark.parametrize("data", [b"", pickle.dumps({"a": 1}), dumps({"x": np.arange(9)})[:-8]])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        loads(data)


def test_what_cannot_travel_is_refused_when_written() -> None:
    with pytest.raises(TypeError, match="object"):
        dumps({"x": np.array(["a"], dtype=object)})
    with pytest.raises(TypeError, match="set"):
        dumps({"x": {1}})
