"""The event network folded for drawing: what is one of many is looked up, the rest multiplied.

Its weights become matrices for what is dense and tables for the last values, the weekday, the hour
and the tokens drawn already, so that no one-hot meets a product and torch is not needed to sample.
Logits are those of `models/event_net.py` up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth_spark.generators._events_kernels import FAR, silu
from synth_spark.generators._events_layout import AFTER, AFTER_DENSE, Layout
from synth_spark.models.recall import nearness

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Linear:
    """A product and what is added to it."""

    weight: F32  # (in, out)
    bias: F32  # (out,)


@dataclass(frozen=True, slots=True)
class Folded:
    """Weights in the order of drawing; `all` stands for the heads of values, side by side."""

    own: Linear  # attributes -> width
    dense: F32  # (dense features, width)
    last: F32  # (last values, width)
    second: Linear  # width -> width
    time: Linear  # width -> head
    time_out: Linear  # head -> time tokens
    clock: F32  # (width, 2 head): hour, slot
    jump: F32  # (jumps, head), with the bias of the hour
    hour_out: Linear
    hour: F32  # (24, head), with the bias of the slot
    slot_out: Linear
    values: F32  # (width + AFTER_DENSE, all)
    weekday: F32  # (7, all), with the biases
    hours: F32  # (24, all)
    told: F32  # (tokens of all heads, all), what a drawn token adds to the heads behind its own
    starts: NDArray[np.int64]  # (heads,), where a head's tokens begin in `told`
    chosen: F32  # (pointer, all), of the features of the drawn main value
    outs: tuple[Linear, ...]  # head -> tokens; the first one's last columns weigh the pointer, a
    # number's what it recalls, as those of `hour_out` and `slot_out` do
    near: tuple[F32, ...]  # of each number, see `models/recall.py`

    @classmethod
    def of(cls, weights: Mapping[str, NDArray[Any]], layout: Layout) -> Self:
        """Fold the weights of an `EventNet`."""
        h = weights["time_out.weight"].shape[1]
        first, fused = _linear(weights, "trunk.0"), _linear(weights, "fused")
        categories = len(layout.widths)
        names = [f"cat_in.{j}" for j in range(categories)]
        names += [f"num_in.{j}" for j in range(len(layout.numbers))]
        after, told, starts, chosen = _values(weights, names, layout, h)
        outs = [_linear(weights, name.replace("in", "out")) for name in names]
        if categories:
            outs[0] = _beside(outs[0], _linear(weights, "point"))
        hour, slot = _linear(weights, "hour_out"), _linear(weights, "slot_out")
        if "hour_recall.weight" in weights:
            hour = _beside(hour, _linear(weights, "hour_recall"))
            slot = _beside(slot, _linear(weights, "slot_recall"))
            for j in range(len(layout.numbers)):
                own = _linear(weights, f"num_recall.{j}")
                outs[categories + j] = _beside(outs[categories + j], own)
        weekday = after[AFTER_DENSE : AFTER_DENSE + 7] + fused.bias[3 * h :]
        return cls(
            own=Linear(first.weight[layout.before :], first.bias),
            dense=_f32(first.weight[: layout.dense]),
            last=_f32(first.weight[layout.dense : layout.before]),
            second=_linear(weights, "trunk.3"),
            time=Linear(_f32(fused.weight[:, :h]), fused.bias[:h]),
            time_out=_linear(weights, "time_out"),
            clock=_f32(fused.weight[:, h : 3 * h]),
            jump=_f32(weights["hour_in.weight"] + fused.bias[h : 2 * h]),
            hour_out=hour,
            hour=_f32(weights["slot_in.weight"] + fused.bias[2 * h : 3 * h]),
            slot_out=slot,
            values=_f32(np.concatenate([fused.weight[:, 3 * h :], after[:AFTER_DENSE]])),
            weekday=_f32(weekday),
            hours=_f32(after[AFTER_DENSE + 7 :]),
            told=told,
            starts=starts,
            chosen=chosen,
            outs=tuple(outs),
            near=tuple(nearness(*asked) for asked in layout.near),
        )

    def without(self, allowed: Mapping[int, NDArray[np.bool_]], first: int) -> Folded:
        """The same, never drawing tokens of numbers that are not allowed.

        Args:
            allowed: By number, its tokens.
            first: The head of the first number.
        """
        outs = list(self.outs)
        for k, some in allowed.items():
            out = outs[first + k]
            bias = out.bias.copy()
            bias[: len(some)] = np.where(some, bias[: len(some)], FAR)
            outs[first + k] = Linear(out.weight, bias)
        return replace(self, outs=tuple(outs))


def _f32(x: NDArray[Any]) -> F32:
    return np.ascontiguousarray(x, np.float32)


def _linear(weights: Mapping[str, NDArray[Any]], name: str) -> Linear:
    return Linear(_f32(weights[f"{name}.weight"].T), _f32(weights[f"{name}.bias"]))


def _beside(left: Linear, right: Linear) -> Linear:
    """Two layers of the same input as one."""
    return Linear(
        _f32(np.concatenate([left.weight, right.weight], axis=1)),
        np.concatenate([left.bias, right.bias]),
    )


def _values(
    weights: Mapping[str, NDArray[Any]], names: list[str], layout: Layout, h: int
) -> tuple[F32, F32, NDArray[np.int64], F32]:
    """What the time, the tokens and the drawn main value add to the heads of values."""
    embeds = [weights[f"{n.replace('in', 'embed')}.weight"] for n in names]
    starts = np.concatenate([[0], np.cumsum([len(e) for e in embeds])]).astype(np.int64)
    size, categories = len(names) * h, len(layout.widths)
    after = np.zeros((AFTER, size), np.float32)
    told = np.zeros((int(starts[-1]), size), np.float32)
    chosen = np.zeros((layout.pointer, size), np.float32)
    for k, name in enumerate(names):
        block, own = weights[f"{name}.weight"].T, slice(k * h, (k + 1) * h)
        after[:, own], at = block[:AFTER], AFTER
        for e in range(k):
            if categories and e == categories:
                at += layout.pointer
            width = embeds[e].shape[1]
            told[starts[e] : starts[e + 1], own] = embeds[e] @ block[at : at + width]
            at += width
        if k and categories:
            from_ = AFTER + sum(e.shape[1] for e in embeds[: min(k, categories)])
            chosen[:, own] = block[from_ : from_ + layout.pointer]
    return after, told, starts[:-1], chosen


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def add_last(unit, own, rows, found, last, x):  # type: ignore[no-untyped-def]
    """The first layer in place: silu(x + the unit's own row + the rows of its last values)."""
    width = x.shape[1]
    for a in range(len(x)):
        y, mine = x[a], own[unit[a]]
        for k in range(width):
            y[k] += mine[k]
        for f in range(found[a]):
            row = last[rows[a, f]]
            for k in range(width):
                y[k] += row[k]
        for k in range(width):
            y[k] = silu(y[k])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def add_bias(x, bias, out):  # type: ignore[no-untyped-def]
    """Put silu(x + bias) into the first columns of `out`."""
    for a in range(len(x)):
        y, z = x[a], out[a]
        for k in range(len(bias)):
            z[k] = silu(y[k] + bias[k])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def add_row(x, at, table, token, out):  # type: ignore[no-untyped-def]
    """Put silu(x + the table's row of each token) into `out`, from column `at` of x on."""
    width = table.shape[1]
    for a in range(len(token)):
        y, row, z = x[a, at : at + width], table[token[a]], out[a]
        for k in range(width):
            z[k] = silu(y[k] + row[k])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def add_clock(x, day, hour, weekdays, hours, out):  # type: ignore[no-untyped-def]
    """Add the event's weekday and hour to all heads (x in place), and open the first head."""
    for a in range(len(x)):
        y, z, row, other = x[a], out[a], weekdays[day[a]], hours[hour[a]]
        for k in range(len(y)):
            y[k] += row[k] + other[k]
        for k in range(len(z)):
            z[k] = silu(y[k])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def add_token(x, j, tokens, told, start, out):  # type: ignore[no-untyped-def]
    """Add the token of the head before j to x from head j on, and open head j."""
    h = out.shape[1]
    for a in range(len(x)):
        y, z, row = x[a, j * h :], out[a], told[start + tokens[a, j - 1], j * h :]
        for k in range(len(y)):
            y[k] += row[k]
        for k in range(h):
            z[k] = silu(y[k])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def add_chosen(x, h, tokens, pointer, table):  # type: ignore[no-untyped-def]
    """Add the features of the drawn main value to x from the second head on."""
    features = table.shape[0]
    for a in range(len(x)):
        y, q = x[a, h:], pointer[a, tokens[a, 0]]
        for f in range(0, features - 1, 2):
            if q[f] != 0 or q[f + 1] != 0:
                w, one, v, two = q[f], table[f, h:], q[f + 1], table[f + 1, h:]
                for k in range(len(y)):
                    y[k] += w * one[k] + v * two[k]
        if features % 2:
            w, one = q[features - 1], table[features - 1, h:]
            for k in range(len(y)):
                y[k] += w * one[k]
