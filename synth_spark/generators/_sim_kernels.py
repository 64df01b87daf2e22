"""Compiled loops of the simulation: times, places and habits, one subject after the other.

Every subject has a SplitMix64 stream of its own (`_events_kernels.py`), so what is drawn for it
does not depend on how many other subjects there are.

* `arrivals`: a two-state Markov-modulated Poisson process (Fischer and Meier-Hellstern, "The
  Markov-modulated Poisson process (MMPP) cookbook", Performance Evaluation 18, 1993, section 1),
  run in a clock that goes fast in busy hours of the week and slowly in quiet ones.
* `roam`: exploration and preferential return (Song, Koren, Wang and Barabási, "Modelling the
  scaling properties of human mobility", Nature Physics 6, 2010, equations 1 to 3) between a home
  and a place of work, with truncated power-law jumps (González, Hidalgo and Barabási,
  "Understanding individual human mobility patterns", Nature 453, 2008, equation 1).
* `habits`: a Pólya urn (Blackwell and MacQueen, "Ferguson distributions via Pólya urn schemes",
  Annals of Statistics 1, 1973): what was chosen before is chosen again.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from synth_spark.generators._events_kernels import STRIDE, pick, uniform

HOUR = 3_600.0  # s
PLACES = 64  # different places of one subject that are kept
TRIES = 8  # positions that are looked at for a way through the day


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _wait(state, mean):  # type: ignore[no-untyped-def]
    """An exponential time with this mean."""
    return -mean * math.log(1.0 - uniform(state))


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _run(state, rate, share, ratio, busy_h, cum, begin, end, out, at):  # type: ignore[no-untyped-def]
    """The events of one subject into `out` from `at` on (only counted where it is empty)."""
    slow = rate / (share * ratio + 1.0 - share)
    busy = uniform(state) < share
    now, hour, made = begin, 0, 0
    while now < end:
        stay = busy_h if busy else busy_h * (1.0 - share) / share
        until = min(now + _wait(state, stay), end)
        pace = slow * ratio if busy else slow
        moment = now + _wait(state, 1.0 / pace)
        while moment < until:
            if len(out):
                while cum[hour + 1] <= moment:
                    hour += 1
                inside = (moment - cum[hour]) / (cum[hour + 1] - cum[hour])
                out[at + made] = (hour + inside) * HOUR
            made += 1
            moment += _wait(state, 1.0 / pace)
        now, busy = until, not busy
    if made == 0:  # nobody stays without an event: one, anywhere
        moment = begin + uniform(state) * (end - begin)
        if len(out):
            while cum[hour + 1] <= moment:
                hour += 1
            out[at] = (hour + (moment - cum[hour]) / (cum[hour + 1] - cum[hour])) * HOUR
        made = 1
    return made


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def counts(key, rates, share, ratio, busy_h, cum, begin, end):  # type: ignore[no-untyped-def]
    """How many events each subject has; shape (subjects,)."""
    none, found, state = np.empty(0), np.zeros(len(rates), np.int64), np.zeros(1, np.uint64)
    at = np.int64(0)  # no literal: `_run` would be compiled twice
    for i in range(len(rates)):
        state[0] = np.uint64(key) + np.uint64(i) * STRIDE
        found[i] = _run(state, rates[i], share, ratio, busy_h, cum, begin[i], end[i], none, at)
    return found


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def arrivals(key, rates, share, ratio, busy_h, cum, begin, end, starts, out):  # type: ignore[no-untyped-def]
    """Seconds since the start of each event, ascending within a subject, from `starts` on.

    Args:
        key: Of the block's streams.
        rates: Events an hour of the mean clock, shape (subjects,).
        share: Of the time that is busy.
        ratio: Rate in busy over rate in quiet times.
        busy_h: Mean length of a busy time, in hours of the mean clock.
        cum: Cumulative intensity at the hours of the calendar, shape (hours + 1,), first 0.
        begin: Of each subject, in the mean clock.
        end: Of each subject, above `begin`.
        starts: Of each subject in `out`, from the sums of `counts`.
        out: Filled.
    """
    state = np.zeros(1, np.uint64)
    for i in range(len(rates)):
        state[0] = np.uint64(key) + np.uint64(i) * STRIDE
        _run(state, rates[i], share, ratio, busy_h, cum, begin[i], end[i], out, starts[i])


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _jump(state, cell, flat, near, step, x, y, upper, reach, low, beta, cut):  # type: ignore[no-untyped-def]
    """A new cell: a truncated power-law jump from this one, or by popularity where flat."""
    if flat:
        return pick(upper, uniform(state))
    for _ in range(TRIES):
        # a power law of exponent beta from low to reach, cut off exponentially by rejection
        a, b = low ** (1.0 - beta), reach ** (1.0 - beta)
        far = (a + uniform(state) * (b - a)) ** (1.0 / (1.0 - beta))
        if uniform(state) >= math.exp(-far / cut):
            continue
        turn = 2.0 * math.pi * uniform(state)
        column = int((x[cell] + far * math.cos(turn) - step[0]) / step[2])
        row = int((y[cell] + far * math.sin(turn) - step[1]) / step[2])
        if 0 <= row < near.shape[0] and 0 <= column < near.shape[1]:
            return near[row, column]
    return pick(upper, uniform(state))


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def roam(  # type: ignore[no-untyped-def]
    key, offsets, t, night, working, home, work, home_pull, work_pull, rho, gamma, stay_h, tail,
    stay_cut_h, flat, near, step, x, y, upper, reach, low, beta, cut, out,
):  # fmt: skip
    """The cell of every event along the way of its subject, shape (events,); fills `out`.

    A stay has a truncated power-law length; at its end a subject is at home with `home_pull` where
    the hour is one of the night, at work with `work_pull` where it is one of work; else it explores
    with rho * S ** -gamma, or goes back to one of its S places by how often it was there.

    Args:
        key: Of the block's streams.
        offsets: Of the subjects' events, shape (subjects + 1,).
        t: Seconds since the start, ascending within a subject.
        night: Whether each hour of the calendar is one of the night, shape (hours,).
        working: Whether each hour is one of work, shape (hours,).
        home: Cell of each subject's home.
        work: Cell of each subject's work.
        home_pull: Probability.
        work_pull: Probability.
        rho: Of exploring.
        gamma: Of exploring less with more places.
        stay_h: Shortest stay, hours.
        tail: Exponent of the stays' lengths.
        stay_cut_h: Where the tail of the stays is cut off, hours.
        flat: No coordinates: new places come by popularity.
        near: Nearest cell of each square of a raster.
        step: The raster's corner (x, y) and its square's side, km.
        x: Of the cells, km.
        y: Of the cells, km.
        upper: Cumulative popularity of the cells.
        reach: Longest jump, km.
        low: Shortest jump, km.
        beta: Exponent of the jumps.
        cut: Where the tail of the jumps is cut off, km.
        out: Cell of each event.
    """
    state = np.zeros(1, np.uint64)
    places, visits = np.zeros(PLACES, np.int64), np.zeros(PLACES)
    last = len(night) - 1
    power = -1.0 / (tail - 1.0)
    for i in range(len(offsets) - 1):
        state[0] = np.uint64(key) + np.uint64(i) * STRIDE
        places[0], places[1], visits[0], visits[1] = home[i], work[i], 3.0, 2.0
        known, total, where, until = 2, 5.0, 0, -1.0
        for e in range(offsets[i], offsets[i + 1]):
            while t[e] >= until:
                until = max(until, t[e] - 8.0 * HOUR)  # what lies long before does not matter
                hour = min(max(int(until / HOUR), 0), last)
                u = uniform(state)
                if night[hour] and u < home_pull:
                    where = 0
                elif working[hour] and u < work_pull:
                    where = 1
                elif uniform(state) < rho * known**-gamma and known < PLACES:
                    new = _jump(
                        state, places[where], flat, near, step, x, y, upper, reach, low, beta, cut
                    )
                    where = known
                    for k in range(known):
                        if places[k] == new:
                            where = k
                            break
                    if where == known:
                        places[known], visits[known] = new, 0.0
                        known += 1
                else:
                    goal, where = uniform(state) * total, known - 1
                    for k in range(known):
                        goal -= visits[k]
                        if goal < 0.0:
                            where = k
                            break
                visits[where] += 1.0
                total += 1.0
                until += min(stay_h * (1.0 - uniform(state)) ** power, stay_cut_h) * HOUR
            out[e] = places[where]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def habits(key, offsets, fresh, theta, stay, out):  # type: ignore[no-untyped-def]
    """What is chosen in each event: as just before, as some time before, or anew; fills `out`.

    Args:
        key: Of the block's streams.
        offsets: Of the subjects' events, shape (subjects + 1,).
        fresh: What each event has if it is chosen anew; -1: a number of its own, from 0.
        theta: How strongly new choices go on; 0: the first choice for ever.
        stay: Probability of what stood in the event before.
        out: The choice of each event.
    """
    state = np.zeros(1, np.uint64)
    for i in range(len(offsets) - 1):
        state[0] = np.uint64(key) + np.uint64(i) * STRIDE
        own = 0
        for e in range(offsets[i], offsets[i + 1]):
            before = e - offsets[i]
            if before > 0 and uniform(state) < stay:
                out[e] = out[e - 1]
            elif before > 0 and uniform(state) * (before + theta) < before:
                out[e] = out[offsets[i] + int(uniform(state) * before)]
            elif fresh[e] < 0:
                out[e] = own
                own += 1
            else:
                out[e] = fresh[e]
