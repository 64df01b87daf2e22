"""Running statistics of a unit's events: what the network sees, in training and in sampling.

One state row a unit, in a flat float array whose layout `Layout` names. `before` writes what is
known before an event's time is drawn, `after` what its time adds (with features of each value of
the main category: how recent, how often), `update` takes the event in. Training walks real events
through the same three functions, so the two uses cannot differ.
"""

# ruff: noqa: PLR0915 -- compiled loops take plain arrays and read as one story
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

BEFORE = 28  # features before the time that do not depend on the columns
AFTER = 42
POINTER = 10  # features of a value of the main category, before the second category's part
SECOND = 6  # values of the second category that are remembered for a main value
_T, _I, _GAPS, _TODAY, _DAYS, _DAY, _NIGHT, _HOURS = 0, 1, 2, 5, 6, 7, 8, 9
_FIXED = 10


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of the columns and of the arrays that follow from them."""

    widths: NDArray[np.int64]  # (categories,)
    numbers: NDArray[np.int64]  # (numbers,), vocabulary
    missing: NDArray[np.int64]  # (numbers,), token or -1
    horizon_s: float
    cut_s: float
    most_events: int

    @property
    def values(self) -> int:
        return int(self.widths.sum())

    @property
    def main(self) -> int:
        """Values of the main category, 0 if there is none."""
        return int(self.widths[0]) if len(self.widths) else 0

    @property
    def second(self) -> int:
        return min(int(self.widths[1]), SECOND) if len(self.widths) > 1 else 0

    @property
    def before(self) -> int:
        """Features before the time, without the attributes."""
        return BEFORE + 4 * self.values + 3 * self.main + 2 * len(self.numbers)

    @property
    def pointer(self) -> int:
        return POINTER + self.second

    @property
    def state_size(self) -> int:
        return _FIXED + 3 * len(self.widths) + self.values + 3 * self.main + len(self.numbers)

    def packed(self) -> NDArray[np.float64]:
        """The layout as one array that the compiled functions read."""
        head = [self.horizon_s, self.cut_s, self.most_events, len(self.widths), len(self.numbers)]
        return np.concatenate([head, self.widths, self.numbers, self.missing]).astype(np.float64)

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The layout that `state` came from."""
        return cls(**state)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def reset(s, p):  # type: ignore[no-untyped-def]
    """Empty a state row."""
    s[:] = 0.0
    s[_T] = -1.0
    s[_DAY] = -1.0
    c = int(p[3])
    for k in range(3 * c):
        s[_FIXED + k] = -1.0
    values = 0
    for j in range(c):
        values += int(p[5 + j])
    main = int(p[5]) if c > 0 else 0
    at = _FIXED + 3 * c + values
    s[at : at + 3 * main] = -1.0
    s[at + 3 * main :] = -1.0


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
def before(s, p, weekday, shown, out):  # type: ignore[no-untyped-def]
    """Features before the time: out[0 : layout.before]; `shown` is the count the net sees."""
    horizon, most, c, m = p[0], p[2], int(p[3]), int(p[4])
    i, t = s[_I], s[_T]
    first = i == 0
    now = 0.0 if first else t
    day = np.floor(now / 86_400.0)
    turn = (now / 86_400.0 - day) * 2 * np.pi
    out[: BEFORE + 0] = 0.0
    if not first:
        for k in range(3):
            out[2 * k] = np.sin((k + 1) * turn)
            out[2 * k + 1] = np.cos((k + 1) * turn)
        out[8 + (weekday + int(day)) % 7] = 1.0
    left = max(horizon - now, 0.0) / 86_400.0
    owed = shown - i
    out[6] = now / horizon
    out[7] = 1.0 if first else 0.0
    out[15] = np.log1p(max(owed, 0.0)) * (1.0 if owed > 0 else 0.0)
    out[16] = min(max(owed / max(shown, 1.0), -1.0), 1.0)
    out[17] = np.log1p(i)
    out[18] = 1.0 if i >= most - 1 else 0.0
    out[19] = np.log((max(owed, 0.0) + 0.5) / (left + 0.05)) * 0.5
    out[20] = np.sqrt(left)
    out[21] = np.log1p(s[_TODAY])
    out[22] = s[_DAYS] * 0.3
    for k in range(3):
        out[23 + k] = s[_GAPS + k]
    # A unit's drawn share of nights and mean hour are kept to where it is seen how far they are.
    out[26] = s[_NIGHT] / max(i, 1.0) * 4
    out[27] = 0.0 if first else s[_HOURS] / i / 6 - 2
    at, place = BEFORE, _FIXED + 3 * c
    total = max(i, 1.0)
    counts = place
    for j in range(c):
        width = int(p[5 + j])
        out[at : at + 4 * width] = 0.0
        for k in range(3):
            last = int(s[_FIXED + 3 * j + k])
            if last >= 0:
                out[at + k * width + last] = 1.0
        for v in range(width):
            out[at + 3 * width + v] = s[counts + v] / total
        at += 4 * width
        counts += width
    main = int(p[5]) if c > 0 else 0
    for v in range(main):
        seen = s[counts + v]
        if seen >= 0:
            dt, steps = now - seen, i - s[counts + main + v]
            out[at + v] = np.exp(-dt / 600.0)
            out[at + main + v] = np.exp(-dt / 21_600.0)
            out[at + 2 * main + v] = np.exp(-steps / 4.0)
        else:
            out[at + v] = out[at + main + v] = out[at + 2 * main + v] = 0.0
    at += 3 * main
    numbers = counts + 3 * main
    for j in range(m):
        token = s[numbers + j]
        gone = token == p[5 + c + m + j]
        out[at + 2 * j] = 1.0 if token >= 0 and gone else 0.0
        out[at + 2 * j + 1] = 0.0 if token < 0 or gone else 2 * token / max(p[5 + c + j], 1.0) - 1


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator, unused-ignore]
def after(s, p, weekday, t, share, out, pointer):  # type: ignore[no-untyped-def]
    """Features once the time `t` is known: out[0 : AFTER] and pointer[main, layout.pointer]."""
    horizon, c = p[0], int(p[3])
    day = np.floor(t / 86_400.0)
    clock = t / 86_400.0 - day
    turn = clock * 2 * np.pi
    out[:] = 0.0
    for k in range(3):
        out[2 * k] = np.sin((k + 1) * turn)
        out[2 * k + 1] = np.cos((k + 1) * turn)
    out[6 + (weekday + int(day)) % 7] = 1.0
    i = s[_I]
    gap = t - s[_T] if i > 0 else 0.0
    out[13] = np.log1p(gap) * 0.2 if i > 0 else 0.0
    out[14] = 1.0 if i > 0 and gap < p[1] else 0.0
    out[15] = 1.0 if day != s[_DAY] else 0.0
    out[16] = t / horizon
    out[17] = 1.0 if i == 0 else 0.0
    out[18 + min(int(clock * 24), 23)] = 1.0
    if c == 0:
        return
    main, values = int(p[5]), 0
    for j in range(c):
        values += int(p[5 + j])
    counts, last = _FIXED + 3 * c, _FIXED + 3 * c + values
    second = min(int(p[6]), SECOND) if c > 1 else 0
    total = max(i, 1.0)
    for v in range(main):
        q = pointer[v]
        q[:] = 0.0
        q[8] = share[v]
        q[9] = 1.0 if share[v] > 0 else 0.0
        n = s[counts + v]
        if n > 0:
            steps, dt = i - s[last + main + v], t - s[last + v]
            q[0] = n / total
            q[1] = 1.0
            q[2] = 1.0 if n > 1 else 0.0
            q[3] = np.exp(-steps / 1.5)
            q[4] = np.exp(-steps / 6.0)
            q[5] = np.exp(-dt / 300.0)
            q[6] = np.exp(-dt / 3_600.0)
            q[7] = np.exp(-dt / 43_200.0)
            kind = int(s[last + 2 * main + v])
            if 0 <= kind < second:
                q[POINTER + kind] = 1.0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def update(s, p, t, cats, nums):  # type: ignore[no-untyped-def]
    """Take an event in."""
    c, m = int(p[3]), int(p[4])
    i = s[_I]
    day = np.floor(t / 86_400.0)
    if i > 0:
        s[_GAPS + 2], s[_GAPS + 1] = s[_GAPS + 1], s[_GAPS]
        s[_GAPS] = np.log1p(t - s[_T]) * 0.2
    if day != s[_DAY]:
        s[_DAYS] += 1
        s[_TODAY] = 0
    s[_TODAY] += 1
    hour = t / 3_600.0 - day * 24
    s[_HOURS] += hour
    if hour < 6:
        s[_NIGHT] += 1
    s[_T], s[_DAY], s[_I] = t, day, i + 1
    at = _FIXED + 3 * c
    for j in range(c):
        k = _FIXED + 3 * j
        s[k + 2], s[k + 1], s[k] = s[k + 1], s[k], cats[j]
        s[at + cats[j]] += 1
        at += int(p[5 + j])
    if c > 0:
        main = int(p[5])
        s[at + cats[0]] = t
        s[at + main + cats[0]] = i + 1
        s[at + 2 * main + cats[0]] = cats[1] if c > 1 else -1
        at += 3 * main
    for j in range(m):
        s[at + j] = nums[j]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def unroll(end, weekday, shown, t, cats, nums, share, p, size, x, z, q):  # type: ignore[no-untyped-def]
    """Features of real rows: units end to end, each closed by a row with `end` set.

    Writes x (rows, before), z (rows, AFTER) and q (rows, main, pointer) and gives each row's time
    before, -1 at a unit's first.
    """
    s = np.empty(size)
    reset(s, p)
    previous = np.empty(len(t))
    xs, zs = np.empty(x.shape[1]), np.empty(z.shape[1])
    qs = np.zeros((q.shape[1], q.shape[2]))
    for r in range(len(t)):
        previous[r] = s[_T]
        before(s, p, weekday[r], shown[r], xs)
        x[r] = xs
        if end[r]:
            z[r] = 0
            q[r] = 0
            reset(s, p)
            continue
        after(s, p, weekday[r], t[r], share[r], zs, qs)
        z[r] = zs
        q[r] = qs
        update(s, p, t[r], cats[r], nums[r])
    return previous


# The walks of many units stand here and not with the draws: a compiled function that is kept on
# disk is only renewed when its own file changes, not when one it calls does.


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def features_before(on, s, p, weekday, shown, attributes, x):  # type: ignore[no-untyped-def]
    """Inputs of the units `on`: statistics, then attributes."""
    size = x.shape[1] - attributes.shape[1]
    for a in range(len(on)):
        u = on[a]
        before(s[u], p, weekday[u], shown[u], x[a, :size])
        x[a, size:] = attributes[u]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def features_after(on, s, p, weekday, t, share, z, q):  # type: ignore[no-untyped-def]
    """What the time adds, for the units `on`."""
    for a in range(len(on)):
        u = on[a]
        after(s[u], p, weekday[u], t[a], share[u], z[a], q[a])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def take_in(on, s, p, t, cats, nums):  # type: ignore[no-untyped-def]
    """Take the drawn events in."""
    for a in range(len(on)):
        update(s[on[a]], p, t[a], cats[a], nums[a])
