"""Units drawn by the generator as it stands, and what the critic of sequences is shown of units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._events_clock import DAY_S, HOUR_S, Clock
from synth_spark.generators._events_folded import Folded
from synth_spark.generators._events_kernels import STRIDE
from synth_spark.generators._events_net import LONGEST
from synth_spark.generators._events_paces import hurry_of
from synth_spark.generators._events_seen import SCALE, Seen
from synth_spark.generators._events_support import Support
from synth_spark.generators._events_window import ALWAYS, Ahead, Walker
from synth_spark.generators._gan_units import MOST, Arrays, Ragged, known

FIXED = 18  # features of an event that do not depend on the columns


def roll(
    walker: Walker,
    seen: Seen,
    rows: Mapping[str, NDArray[Any]],
    which: NDArray[np.int64],
    key: int,
) -> Ragged:
    """Draw the events of one unit a row, with the attributes of candidate `which`.

    Args:
        walker: The generator.
        seen: What the generator sees of units.
        rows: Examples, see `encode_units`.
        which: From 1 to `CANDIDATES`, shape (rows,).
        key: Of the random streams, 63 bits.
    """
    told = known(rows, which)
    n = rows["n"][np.arange(len(which)), which]
    longest = 2 * LONGEST if seen.loose else LONGEST
    most = np.minimum(np.floor(longest * n + 0.5).astype(np.int64), MOST)
    order = np.argsort(-n, kind="stable")
    with np.errstate(over="ignore"):
        random = np.arange(len(n), dtype=np.uint64) * STRIDE + np.uint64(key)
    weekday, room = rows["weekday"][:, 0], rows["room"][:, 0]
    shares = (told["shares"] / 255).astype(np.float32)
    ahead = Ahead(
        order[n[order] > 0], most, n.astype(float), weekday, room, told["shown"], told["ease"],
        (told["scaled"] / SCALE).astype(np.float32), shares, shares,
        random[:, None], seen.until(told["shown"], room, walker.clock),
        seen.latest(told["shown"]), hurry_of(walker.support.hurry, n),
    )  # fmt: skip
    lengths, t, tokens = walker.walk(ahead).packed()
    tokens = np.maximum(tokens, 0)  # -1 where weights blew up: any token, the monitor sees it
    categories = len(walker.layout.widths)
    return Ragged(
        lengths, lengths < most, t, tokens[:, :categories], tokens[:, categories:], weekday, room,
        **told,
    )  # fmt: skip


def walker_of(
    weights: Mapping[str, NDArray[Any]], seen: Seen, clock: Clock, support: Support
) -> Walker:
    """What draws with these weights."""
    return Walker(Folded.of(weights, seen.layout), seen.layout, clock, support, seen.gate, ALWAYS)


def features(seen: Seen) -> int:
    """Features of an event that the critic is shown."""
    return FIXED + seen.layout.values + int(seen.layout.numbers.sum())


def shown_to_critic(
    units: Ragged, seen: Seen, starts: NDArray[np.float64], window: int
) -> NDArray[np.float32]:
    """A window of each unit's events, shape (units, window, features); zeros behind the last.

    Args:
        units: Real or drawn.
        seen: The generator's layout.
        starts: Where a long unit's window begins, in [0, 1), shape (units,).
        window: Events of a window.
    """
    layout, unit, place = seen.layout, units.unit, units.place
    begin = np.floor(starts * np.maximum(units.lengths - window + 1, 1)).astype(np.int64)
    at = place - begin[unit]
    kept = (at >= 0) & (at < window)
    rows = unit[kept] * window + at[kept]
    out = np.zeros((len(units.lengths) * window, features(seen)), np.float32)
    out[rows, :FIXED] = _clock_features(units, layout.cut_s)[kept]
    width = FIXED
    for tokens, sizes in ((units.cats, layout.widths), (units.nums, layout.numbers)):
        for j, size in enumerate(sizes.tolist()):
            out[rows, width + tokens[kept, j]] = 1.0
            width += size
    return out.reshape(len(units.lengths), window, -1)


def _clock_features(units: Ragged, cut_s: float) -> NDArray[np.float32]:
    """Gap, clock, weekday and place of each event, shape (events, FIXED)."""
    unit, before = units.unit, units.previous
    gap = np.where(before < 0, 0.0, units.t - before)
    day = np.floor(units.t / DAY_S)
    hour = (units.t - day * DAY_S) / HOUR_S
    out = np.zeros((len(units.t), FIXED), np.float32)
    out[:, 0] = 1.0
    out[:, 1] = before < 0
    out[:, 2] = np.log1p(gap) * 0.2
    out[:, 3] = (before >= 0) & (gap < cut_s)
    for k in (1, 2):
        out[:, 2 + 2 * k] = np.sin(hour * k * np.pi / 12)
        out[:, 3 + 2 * k] = np.cos(hour * k * np.pi / 12)
    out[:, 8] = units.t / units.room[unit]
    out[:, 9] = (units.place + 1) / np.maximum(units.lengths, 1)[unit]
    out[:, 10] = (units.place + 1 == units.lengths[unit]) & units.whole[unit]
    weekday = (units.weekday[unit] + day.astype(np.int64)) % 7
    out[np.arange(len(out)), 11 + weekday] = 1.0
    return out


def joined(rows: Mapping[str, Any], copies: int) -> Arrays:
    """Each row of tensors so many times, one round after the other, as arrays."""
    return {name: np.concatenate([_array(v)] * copies) for name, v in rows.items()}


def _array(values: Any) -> NDArray[Any]:
    return np.asarray(values.cpu().numpy() if hasattr(values, "cpu") else values)
