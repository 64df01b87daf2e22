"""Units of one block drawn event by event: a window of them at a time.

All units in the window move on by one event a step. When one ends, the next takes its place, the
longest units first, so that the products stay wide until the block is nearly done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from synth_spark.generators import _events_draws as draws
from synth_spark.generators import _events_folded as folded
from synth_spark.generators import _events_statistics as stats
from synth_spark.generators._events_clock import Clock
from synth_spark.generators._events_folded import Folded, Linear
from synth_spark.generators._events_layout import AFTER_DENSE, LAST, OWED, ROOM, Layout
from synth_spark.generators._events_support import Support
from synth_spark.generators._events_twice import may_stay

AT_ONCE = 512  # units in the window
ALWAYS = np.zeros((0, 24), np.bool_)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is known of each unit before its events."""

    order: NDArray[np.int64]  # units in the order in which they enter the window
    most: NDArray[np.int64]  # (units,), greatest length
    count: NDArray[np.float64]  # (units,), drawn length
    weekday: NDArray[np.int64]  # (units,), of the first day
    room: NDArray[np.float64]  # (units,), seconds that the unit has
    shown: NDArray[np.float64]  # (units, 6 + numbers), what it is told: see `Seen.of_units`
    ease: NDArray[np.float64]  # (units,), by how much it changes to the unit's end, relatively
    scaled: NDArray[np.float32]  # (units, attributes that the network sees)
    shares: NDArray[np.float32]  # (units, values)
    told: NDArray[np.float32]  # the same as the network was shown them in training
    random: NDArray[np.uint64]  # (units, 1), streams, moved on by drawing
    until: NDArray[np.float64]  # (units,), seconds up to which a unit cannot end
    latest: NDArray[np.float64]  # (units,), midnight from which on the network draws no event
    hurry: NDArray[np.float64]  # (units,), what the logits of short gaps move by


@dataclass(frozen=True, slots=True)
class Events:
    """Room for the events of all units, `most` for each."""

    start: NDArray[np.int64]  # (units,)
    made: NDArray[np.int64]  # (units,)
    t: NDArray[np.float64]
    tokens: NDArray[np.int32]  # (events, heads)

    @classmethod
    def room(cls, most: NDArray[np.int64], heads: int) -> Events:
        """None drawn yet."""
        start, total = np.cumsum(most) - most, int(most.sum())
        empty = np.empty((total, heads), np.int32)
        return cls(start, np.zeros(len(most), np.int64), np.empty(total), empty)

    def packed(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int32]]:
        """Length of each unit; times and tokens of the drawn events, end to end."""
        unit = np.repeat(np.arange(len(self.made)), self.made)
        first = np.cumsum(self.made) - self.made
        at = np.arange(len(unit)) - (first - self.start)[unit]
        return self.made, self.t[at], self.tokens[at]


@dataclass(frozen=True, slots=True)
class Walker:
    """The network and all that bounds what it draws."""

    net: Folded
    layout: Layout
    clock: Clock
    support: Support
    gate: float  # with more than this share of the shown count owed, the end is not on offer
    open_hours: NDArray[np.bool_]  # (7, 24) of the week, or no rows: `ALWAYS`

    @property
    def never(self) -> NDArray[np.bool_]:
        """Time tokens that never lead from one event to the next, shape (gaps + jumps,)."""
        found = self.support.never
        return found if len(found) else np.zeros(self.clock.end, bool)

    def walk(self, ahead: Ahead) -> Events:
        """Draw all events of all units.

        On one thread: the products are too small for more, and bytes must not depend on threads.
        """
        events = Events.room(ahead.most, len(self.net.outs))
        window = _Window(self, ahead, events)
        with threadpool_limits(limits=1, user_api="blas"):
            while window.size:
                window.step()
        return events


class Window:
    """The units under way; row a of every buffer belongs to the a-th of them."""

    def __init__(
        self, net: Folded, layout: Layout, own: Linear, ahead: Ahead, events: Events, at_once: int
    ) -> None:
        self.net, self.ahead, self.events = net, ahead, events
        self.size = rows = min(at_once, len(ahead.order))
        self.queue = np.array([rows])  # the next of `order` to enter
        self.p = layout.packed()
        self.own = ahead.scaled @ own.weight + own.bias
        self.unit = ahead.order[:rows].copy()
        self.state = np.empty((rows, layout.state_size))
        for u, row in zip(self.unit, self.state, strict=True):
            stats.reset(row, self.p, ahead.room[u])
        (width, head), size = net.time.weight.shape, net.values.shape[1]
        f32 = np.float32
        self.x = np.empty((rows, layout.dense), f32)
        self.hot = np.empty((rows, LAST * len(layout.widths)), np.int64)
        self.found = np.empty(rows, np.int64)
        self.g = np.empty((rows, width + AFTER_DENSE), f32)  # the trunk, then the time's features
        self.slice, self.hidden = np.empty((rows, head), f32), np.empty((rows, head), f32)
        self.logits: dict[object, NDArray[np.float32]] = {}
        self.v = np.empty((rows, size), f32)
        self.t, self.token = np.empty(rows), np.empty(rows, np.int64)
        self.far = np.empty(rows, np.int64)
        self.day, self.hour = np.empty(rows, np.int64), np.empty(rows, np.int64)
        self.pointer = np.zeros((rows, layout.main, layout.pointer), f32)
        self.tokens = np.zeros((rows, len(net.outs)), np.int32)

    def owed(self, x: NDArray[np.float32], unit: NDArray[np.int64]) -> NDArray[np.float32]:
        """The share of each unit's count still owed, as if all were where it cannot end yet."""
        early = self.state[: len(unit), 0] < self.ahead.until[unit]
        return np.where(early, np.float32(1.0), x[:, OWED])

    def out(self, name: object, hidden: NDArray[np.float32], out: Linear) -> Any:
        """Logits less their bias, in a buffer of their own."""
        if name not in self.logits:
            self.logits[name] = np.empty((len(self.v), out.weight.shape[1]), np.float32)
        logits = self.logits[name][: len(hidden)]
        np.dot(hidden, out.weight, out=logits)
        return logits


class _Window(Window):
    """Units of the event network."""

    def __init__(self, walker: Walker, ahead: Ahead, events: Events) -> None:
        net = walker.net
        super().__init__(net, walker.layout, net.own, ahead, events, AT_ONCE)
        self.walker, self.every = walker, walker.support.every
        self.may = may_stay(walker.support.twice, ahead.shares)
        shape = (self.size, net.time.weight.shape[0])
        self.h, self.h2 = np.empty(shape, np.float32), np.empty(shape, np.float32)

    def step(self) -> None:
        """One event of each unit in the window."""
        n, w, ahead = self.size, self.walker, self.ahead
        unit, state, x = self.unit[:n], self.state, self.x[:n]
        look(
            unit, state, self.p, ahead.weekday, ahead.shown, ahead.ease, ahead.told, x, self.hot,
            self.found,
        )  # fmt: skip
        self._times(n, unit, state, self._trunk(n, unit, x), x)
        look_again(
            unit, state, self.p, ahead.weekday, self.t, ahead.told,
            self.g[:, -AFTER_DENSE:], self.pointer, self.day, self.hour,
        )  # fmt: skip
        self._values(n, unit)
        self.size = _move_on(
            unit, state, self.p, self.t, self.token, w.clock.end, self.tokens,
            len(w.layout.widths), ahead.most, ahead.room, ahead.order, self.queue,
            self.events.start, self.events.made, self.events.t, self.events.tokens,
        )  # fmt: skip

    def _trunk(self, n: int, unit: NDArray[np.int64], x: NDArray[np.float32]) -> Any:
        net, h, h2 = self.walker.net, self.h[:n], self.h2[:n]
        np.dot(x, net.dense, out=h)
        folded.add_last(unit, self.own, self.hot, self.found, net.last, h)
        np.dot(h, net.second.weight, out=h2)
        folded.add_bias(h2, net.second.bias, self.g)
        return self.g[:n, : h.shape[1]]

    def _times(self, n: int, unit: Any, state: Any, trunk: Any, x: Any) -> None:
        net, clock, random = self.walker.net, self.walker.clock, self.ahead.random
        weekday, hours = self.ahead.weekday, self.walker.open_hours
        part, opened = self.slice[:n], self.hidden[:n]
        np.dot(trunk, net.time.weight, out=part)
        folded.add_bias(part, net.time.bias, opened)
        found = draws.draw_time(
            unit, state, self.owed(x, unit), random,
            self.out("time", opened, net.time_out), net.time_out.bias, self.walker.gate,
            clock.cut_s, clock.tick_s, clock.gap_lo, clock.gap_sub, clock.jump_lo, clock.jump_hi,
            weekday, hours, self.ahead.shown[:, 4], self.ahead.latest,
            self.ahead.hurry, self.walker.never, self.t, self.token, self.far,
        )  # fmt: skip
        if not found:
            return
        far = self.far[:found]
        jump = self.token[far] - clock.gaps
        slices = trunk[far] @ net.clock
        hidden, hour = np.empty((found, part.shape[1]), np.float32), np.empty(found, np.int64)
        folded.add_row(slices, 0, net.jump, jump, hidden)
        logits = self.out("hour", hidden, net.hour_out)
        draws.draw_hour(
            far, unit, state, random, logits, net.hour_out.bias, jump, clock.cut_s,
            clock.jump_lo, clock.jump_hi, weekday, hours, self.walker.layout.ring_at, hour,
        )  # fmt: skip
        folded.add_row(slices, part.shape[1], net.hour, hour, hidden)
        logits = self.out("slot", hidden, net.slot_out)
        draws.draw_slot(
            far, unit, state, random, logits, net.slot_out.bias, jump, hour, clock.cut_s,
            clock.tick_s, clock.jump_lo, clock.jump_hi, weekday, hours, self.ahead.latest,
            self.walker.layout.ring_at, self.walker.support.again, self.t,
        )  # fmt: skip

    def _values(self, n: int, unit: Any) -> None:
        net, support, random = self.walker.net, self.walker.support, self.ahead.random
        layout = self.walker.layout
        if not net.outs:
            return  # events of nothing but a time
        v, hidden, tokens = self.v[:n], self.hidden[:n], self.tokens
        np.dot(self.g[:n], net.values, out=v)
        folded.add_clock(v, self.day, self.hour, net.weekday, net.hours, hidden)
        at = 0
        for j, out in enumerate(net.outs):
            if j == 1 and len(support.cats):
                folded.add_chosen(v, hidden.shape[1], tokens, self.pointer, net.chosen)
            if j:
                folded.add_token(v, j, tokens, net.told, net.starts[j - 1], hidden)
            logits = self.out(j, hidden, out)
            if j < len(support.cats):
                met = support.cats[j]
                share = self.ahead.shares[:, at : at + met.shape[2]]
                draws.draw_category(
                    unit, random, logits, out.bias, self.pointer, share, met, tokens, j,
                    self.ahead.count, self.state, layout.counts_at + at, layout.ranks[j],
                    layout.last_at(j), layout.alone[j], support.seldom[j],
                    support.due[j], support.stay[j], self.t, support.twice[j],
                    self.may[j], support.whole[j],
                )  # fmt: skip
                at += met.shape[2]
            else:
                k = j - len(support.cats)
                draws.draw_number(
                    unit, random, logits, out.bias, support.nums[k], self.every[k], self.state,
                    layout.numbers_at, layout.main, k, len(layout.numbers), net.near[k], tokens, j,
                )  # fmt: skip


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def look(unit, s, p, weekday, shown, ease, shares, x, hot, found):  # type: ignore[no-untyped-def]
    """Statistics before the time."""
    for a in range(len(unit)):
        u = unit[a]
        count = shown[u, 0] * (1 + ease[u] * max(s[a, 0], 0.0) / s[a, ROOM])
        stats.before(s[a], p, weekday[u], count, shown[u], shares[u], x[a])
        found[a] = stats.last_values(s[a], p, hot[a])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def look_again(unit, s, p, weekday, t, shares, z, pointer, day, hour):  # type: ignore[no-untyped-def]
    """What the time adds to them."""
    for a in range(len(unit)):
        u = unit[a]
        day[a], hour[a] = stats.after(s[a], p, weekday[u], t[a], shares[u], z[a], pointer[a])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _move_on(  # type: ignore[no-untyped-def]
    unit, s, p, t, token, end, tokens, categories, most, room, order, queue, start, made,
    out_t, out,
):  # fmt: skip
    """Keep the events, take them into the states, and let units in for those that ended.

    Gives how many are in the window; `unit` and `s` then hold them in the first rows.
    """
    size = len(unit)
    for a in range(size):
        if token[a] == end:
            continue
        u = unit[a]
        at = start[u] + made[u]
        out_t[at] = t[a]
        out[at] = tokens[a]
        made[u] += 1
        stats.update(s[a], p, t[a], tokens[a, :categories], tokens[a, categories:])
    kept = 0
    for a in range(size):
        u = unit[a]
        if token[a] == end or made[u] >= most[u]:
            if queue[0] == len(order):
                continue
            u = order[queue[0]]
            queue[0] += 1
            stats.reset(s[kept], p, room[u])
        elif kept < a:
            s[kept] = s[a]
        unit[kept] = u
        kept += 1
    return kept
