"""Units of one block drawn event by event by the decoder, a window of them at a time.

As `_events_window.py`, with the trunk's cache: a unit that enters the window takes over the place
of the one that left it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from synth_spark.generators import _events_folded as folded
from synth_spark.generators import _events_statistics as stats
from synth_spark.generators import _gpt_draws as draws
from synth_spark.generators._events_clock import Clock
from synth_spark.generators._events_layout import AFTER_DENSE
from synth_spark.generators._events_support import Support
from synth_spark.generators._events_window import Ahead, Events, Window, look, look_again
from synth_spark.generators._gpt_folded import Cache, Trunk
from synth_spark.generators._gpt_seen import FIELDS, Sight

AT_ONCE = 256  # units in the window


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an event may be: all of it unless there is a condition."""

    hours: NDArray[np.bool_]  # (24,)
    weekdays: NDArray[np.bool_]  # (7,), from Monday
    cats: tuple[NDArray[np.bool_], ...]  # (values,) of each category
    nums: tuple[NDArray[np.bool_], ...]  # (tokens,) of each number

    @classmethod
    def all(cls, sight: Sight) -> Allowed:
        """No condition."""
        return cls(
            np.ones(24, bool),
            np.ones(7, bool),
            tuple(np.ones(k, bool) for k in sight.widths),
            tuple(np.ones(k, bool) for k in sight.seen.layout.numbers),
        )

    @property
    def clocked(self) -> bool:
        """Whether some hours or weekdays are not allowed."""
        return not (self.hours.all() and self.weekdays.all())


@dataclass(frozen=True, slots=True)
class GptWalker:
    """The decoder and all that bounds what it draws."""

    trunk: Trunk
    sight: Sight
    clock: Clock
    support: Support
    allowed: Allowed
    temperature: float
    top_p: float

    def walk(self, ahead: Ahead) -> Events:
        """Draw all events of all units, on one thread: bytes must not depend on threads."""
        events = Events.room(ahead.most, len(self.trunk.net.outs))
        with threadpool_limits(limits=1, user_api="blas"):
            window = _Window(self, ahead, events)
            while window.size:
                window.step()
        return events


class _Window(Window):
    """Units of the decoder, with its cache."""

    def __init__(self, walker: GptWalker, ahead: Ahead, events: Events) -> None:
        trunk, sight = walker.trunk, walker.sight
        super().__init__(trunk.net, sight.seen.layout, trunk.own, ahead, events, AT_ONCE)
        self.walker, self.every = walker, walker.support.every
        self.main = sight.main_shares(ahead.shares)
        self.taste = np.array([1 / walker.temperature, walker.top_p], np.float32)
        rows, heads = self.size, len(self.net.outs)
        self.cache = Cache(trunk, rows, sight.context)
        self.place, self.number = np.arange(rows), np.zeros(rows, np.int64)
        self.told = np.zeros((rows, FIELDS + heads), np.int64)
        self.hour_token, self.slot_token = np.empty(rows, np.int64), np.empty(rows, np.int64)
        self.stat_tokens = np.zeros((rows, heads), np.int32)

    def step(self) -> None:
        """One event of each unit in the window."""
        n, w, ahead = self.size, self.walker, self.ahead
        unit, state, x = self.unit[:n], self.state, self.x[:n]
        look(
            unit, state, self.p, ahead.weekday, ahead.shown, ahead.ease, self.main, x, self.hot,
            self.found,
        )  # fmt: skip
        width = self.own.shape[1]
        self.cache.forward(
            x, self.own[unit], self.told[:n], self.place[:n], self.number[:n], self.g
        )
        self._times(n, unit, state, self.g[:n, :width], x)
        look_again(
            unit, state, self.p, ahead.weekday, self.t, self.main,
            self.g[:, -AFTER_DENSE:], self.pointer, self.day, self.hour,
        )  # fmt: skip
        self._values(n, unit)
        categories = len(w.sight.widths)
        for j, fold in enumerate(w.sight.folds):
            self.stat_tokens[:n, j] = fold[self.tokens[:n, j]]
        self.stat_tokens[:n, categories:] = self.tokens[:n, categories:]
        self.size = _move_on(
            unit, state, self.p, self.t, self.token, w.clock.end, self.hour_token,
            self.slot_token, self.tokens, self.stat_tokens, categories, w.sight.starts,
            self.told, self.place, self.number, ahead.most, ahead.room, ahead.order, self.queue,
            self.events.start, self.events.made, self.events.t, self.events.tokens,
        )  # fmt: skip

    def _times(self, n: int, unit: Any, state: Any, trunk: Any, x: Any) -> None:
        net, w, random = self.net, self.walker, self.ahead.random
        clock, allowed, weekday = w.clock, w.allowed, self.ahead.weekday
        part, opened = self.slice[:n], self.hidden[:n]
        np.dot(trunk, net.time.weight, out=part)
        folded.add_bias(part, net.time.bias, opened)
        found = draws.draw_time(
            unit, state, self.owed(x, unit), weekday, random,
            self.out("time", opened, net.time_out), net.time_out.bias, w.sight.seen.gate,
            clock.cut_s, clock.tick_s, clock.gap_lo, clock.gap_sub, clock.jump_lo, clock.jump_hi,
            allowed.hours, allowed.weekdays, allowed.clocked, self.taste, self.t, self.token,
            self.far,
        )  # fmt: skip
        self.hour_token[:n] = self.slot_token[:n] = -1
        if not found:
            return
        far = self.far[:found]
        jump = self.token[far] - clock.gaps
        slices = trunk[far] @ net.clock
        hidden = np.empty((found, part.shape[1]), np.float32)
        folded.add_row(slices, 0, net.jump, jump, hidden)
        draws.draw_hour(
            far, unit, state, random, self.out("hour", hidden, net.hour_out), net.hour_out.bias,
            jump, clock.cut_s, allowed.hours, self.taste, self.hour_token,
        )  # fmt: skip
        folded.add_row(slices, part.shape[1], net.hour, self.hour_token[far], hidden)
        draws.draw_slot(
            far, unit, state, weekday, random, self.out("slot", hidden, net.slot_out),
            net.slot_out.bias, jump, self.hour_token, clock.cut_s, clock.tick_s, clock.jump_lo,
            clock.jump_hi, allowed.weekdays, self.taste, self.t, self.slot_token,
        )  # fmt: skip

    def _values(self, n: int, unit: Any) -> None:
        w, net, random = self.walker, self.net, self.ahead.random
        support, sight = w.support, w.sight
        if not net.outs:
            return  # events of nothing but a time
        v, hidden, tokens = self.v[:n], self.hidden[:n], self.tokens
        np.dot(self.g[:n], net.values, out=v)
        folded.add_clock(v, self.day, self.hour, net.weekday, net.hours, hidden)
        at = 0
        for j, out in enumerate(net.outs):
            if j == 1 and sight.folds:
                group = sight.folds[0][tokens[:n, :1]]
                folded.add_chosen(v, hidden.shape[1], group, self.pointer, net.chosen)
            if j:
                folded.add_token(v, j, tokens, net.told, net.starts[j - 1], hidden)
            logits = self.out(j, hidden, out)
            if j < len(support.cats):
                slot = sight.slots[j]
                width = int(slot.max()) + 1
                draws.draw_category(
                    unit, random, logits, out.bias, self.pointer, sight.folds[j], slot,
                    self.ahead.shares[:, at : at + width], support.cats[j], w.allowed.cats[j],
                    tokens, j, self.taste,
                )  # fmt: skip
                at += width
            else:
                k = j - len(support.cats)
                draws.draw_number(
                    unit, random, logits, out.bias, support.nums[k], self.every[k],
                    w.allowed.nums[k], tokens, j, self.taste,
                )  # fmt: skip


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _move_on(  # type: ignore[no-untyped-def]
    unit, s, p, t, token, end, hour, slot, tokens, stat_tokens, categories, starts, told, place,
    number, most, room, order, queue, start, made, out_t, out,
):  # fmt: skip
    """Keep the events, take them into the states, and let units in for those that ended.

    Gives how many are in the window; all that is kept of them then stands in the first rows.
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
        stats.update(s[a], p, t[a], stat_tokens[a, :categories], stat_tokens[a, categories:])
        told[a, 0] = starts[0] + token[a]
        told[a, 1] = starts[1] + hour[a] if hour[a] >= 0 else 0
        told[a, 2] = starts[2] + slot[a] if slot[a] >= 0 else 0
        for j in range(tokens.shape[1]):
            told[a, 3 + j] = starts[3 + j] + tokens[a, j]
        number[a] += 1
    kept = 0
    for a in range(size):
        u, mine = unit[a], place[a]
        if token[a] == end or made[u] >= most[u]:
            if queue[0] == len(order):
                continue
            u = order[queue[0]]
            queue[0] += 1
            stats.reset(s[kept], p, room[u])
            told[kept] = 0
            number[kept] = 0
        elif kept < a:
            s[kept] = s[a]
            told[kept] = told[a]
            number[kept] = number[a]
        place[kept] = mine
        unit[kept] = u
        kept += 1
    return kept
