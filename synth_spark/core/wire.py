"""Plain trees of data to bytes and back, without pickle.

A state, a model or a message is a tree of dict (keys: text, numbers, tuples), list, tuple, str,
int, float, bool, None, bytes and NumPy arrays of numbers, bools or datetimes. Arrays travel as raw
bytes with their dtype and shape; the rest as JSON. Nothing read here can run code.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.errors import SynthError

_MAGIC = b"SYNW1\n"


class WireError(SynthError):
    """Bytes are not a tree that this package wrote."""

    code = "SYN-001"


def split(tree: Any) -> tuple[Any, list[NDArray[Any]]]:
    """Take the arrays out of a tree: what is left is JSON, with `{"$": i}` where array i was."""
    arrays: list[NDArray[Any]] = []

    def walk(node: Any) -> Any:  # noqa: PLR0911 (one line a type)
        if isinstance(node, np.ndarray):
            if node.dtype.kind not in "biufMm":
                raise TypeError(f"arrays of dtype {node.dtype} do not travel")
            arrays.append(node)
            return {"$": len(arrays) - 1}
        if isinstance(node, np.generic):
            return walk(node.item())
        if isinstance(node, dict):
            return {"d": [[k, walk(v)] for k, v in node.items()]}
        if isinstance(node, tuple):
            return {"t": [walk(v) for v in node]}
        if isinstance(node, list):
            return [walk(v) for v in node]
        if isinstance(node, bytes):
            return {"b": base64.b64encode(node).decode()}
        if node is None or isinstance(node, str | int | float | bool):
            return node
        raise TypeError(f"{type(node).__name__} does not travel")

    return walk(tree), arrays


def join(plain: Any, arrays: list[NDArray[Any]]) -> Any:
    """The tree that `split` took apart."""
    if isinstance(plain, list):
        return [join(v, arrays) for v in plain]
    if not isinstance(plain, dict):
        return plain
    if "$" in plain:
        return arrays[plain["$"]]
    if "t" in plain:
        return tuple(join(v, arrays) for v in plain["t"])
    if "b" in plain:
        return base64.b64decode(plain["b"])
    return {_key(k): join(v, arrays) for k, v in plain["d"]}


def _key(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


def dumps(tree: Any) -> bytes:
    """A tree as bytes.

    Example:
        >>> loads(dumps({"n": 3, "x": np.arange(2), 5: (1, "a")}))
        {'n': 3, 'x': array([0, 1]), 5: (1, 'a')}
    """
    plain, arrays = split(tree)
    heads = [[a.dtype.str, list(a.shape)] for a in arrays]
    head = json.dumps([plain, heads]).encode()
    body = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)
    return _MAGIC + struct.pack("<Q", len(head)) + head + body


def loads(data: bytes) -> Any:
    """The tree that `dumps` wrote.

    Raises:
        WireError: The bytes are something else, or cut (SYN-001).
    """
    start = len(_MAGIC) + 8
    if data[: len(_MAGIC)] != _MAGIC or len(data) < start:
        raise WireError("These bytes do not hold a state of this package.")
    (size,) = struct.unpack("<Q", data[len(_MAGIC) : start])
    try:
        plain, heads = json.loads(data[start : start + size])
        at, arrays = start + size, []
        for name, shape in heads:
            dtype, count = np.dtype(name), int(np.prod(shape, dtype=np.int64))
            arrays.append(np.frombuffer(data, dtype, count, at).reshape(shape).copy())
            at += count * dtype.itemsize
    except (ValueError, TypeError) as error:
        raise WireError("The bytes of a state are cut or changed.", cause=str(error)) from error
    return join(plain, arrays)
