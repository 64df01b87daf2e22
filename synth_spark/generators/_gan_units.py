"""Units as training examples of the adversary: one row a unit, events padded to a fixed number.

Beside what is real, a row holds the attributes of `CANDIDATES` units that the forests draw for the
same subject and calendar: what the generator's own units start from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import MARK, Encoded, Records
from synth_spark.core.seeds import uniforms
from synth_spark.generators._events_clock import Clock
from synth_spark.generators._events_coder import Coder
from synth_spark.generators._events_facts import Floats
from synth_spark.generators._events_net import EventsModel
from synth_spark.generators._events_plan import token_shares
from synth_spark.generators._events_seen import SCALE, fingerprint, marks

CANDIDATES = 4  # units that the forests draw for each real one
MOST = 192  # events of a unit that the critics and the monitor look at
Arrays = dict[str, NDArray[Any]]


def encode_units(model: EventsModel, share: float, records: Records) -> Encoded:
    """Subjects as rows of units.

    Args:
        model: The trained generator.
        share: Of the units that are kept, the same ones whatever the partitions.
        records: Whole subjects.
    """
    base, seen, attributes = model.base, model.seen, model.base.histories.attributes
    units = base.coder.units(records)
    given = base.histories.given(base.coder, records, units)
    number = fingerprint(units)
    kept = np.flatnonzero(uniforms(seen.seed, "gan/kept", number) < share)
    tables = [attributes.table(base.coder, units, given)[kept]]
    number, given = number[kept], {k: v[kept] for k, v in given.items()}
    for c in range(CANDIDATES):
        u = _uniforms(seen.seed, f"gan/candidate{c}", number, (len(attributes.columns), 4))
        tables.append(attributes.draw(given, u))
    lengths = units.lengths[kept]
    events = {
        "length": np.minimum(lengths, MOST)[:, None].astype(np.int32),
        "whole": (lengths <= MOST)[:, None] & (lengths < base.coder.most_events)[:, None],
        "weekday": ((units.anchor[kept] + 3) % 7).astype(np.int64)[:, None],
        "room": base.coder.room_s(units.anchor[kept])[:, None],
        **{
            name: _padded(values, units.offsets, kept, MOST)
            for name, values in (
                ("t", units.t[:, None]),
                ("cats", units.cats),
                ("nums", units.nums),
            )
        },
        **_attributes(model, tables, number),
    }
    subjects = np.searchsorted(units.owner[kept], np.arange(records.subjects + 1))
    context = {MARK: marks(units, records.subjects)}
    return Encoded(context, events, subjects.astype(np.int64))


def _attributes(model: EventsModel, tables: list[Floats], number: NDArray[np.uint64]) -> Arrays:
    """What is known of each unit before its events: the real one, then the candidates."""
    base, seen = model.base, model.seen
    attributes = base.histories.attributes
    parts: dict[str, list[NDArray[Any]]] = {}
    for k, table in enumerate(tables):
        n = np.rint(table[:, attributes.index("n")]).astype(np.int64)
        paces = model.paces(n) if k else np.ones(len(n))
        u = _uniforms(seen.seed, f"gan/noise{k}", number, (2,))
        shown, scaled = seen.of_units(base, table, u, paces)
        told = attributes.standard(table)[:, seen.columns]
        shares = token_shares(attributes, seen.contexts, table)
        ease = 1 / np.maximum(paces, 1) - 1 if seen.loose else 0 * paces
        for name, values in (
            ("n", n[:, None]),
            ("shown", shown),
            ("ease", ease[:, None]),
            ("scaled", np.rint(scaled * SCALE).astype(np.int16)),
            ("told", np.rint(told * SCALE).astype(np.int16)),
            ("shares", np.ceil(np.minimum(shares, 1.0) * 255).astype(np.uint8)),  # 0 only where 0
        ):
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values, axis=1) for name, values in parts.items()}


def _uniforms(seed: int, stream: str, number: NDArray[np.uint64], shape: tuple[int, ...]) -> Floats:
    """Uniforms of units that follow from their numbers; (units, *shape)."""
    size = int(np.prod(shape))
    with np.errstate(over="ignore"):
        each = np.add.outer(number * np.uint64(size), np.arange(size, dtype=np.uint64))
    return uniforms(seed, stream, each.astype(np.uint64)).reshape(len(number), *shape)


def _padded(
    values: NDArray[Any], offsets: NDArray[np.int64], kept: NDArray[np.int64], most: int
) -> NDArray[Any]:
    """The first `most` events of each unit side by side, zeros behind the last."""
    out = np.zeros((len(kept), most, values.shape[1]), values.dtype)
    lengths = np.minimum(np.diff(offsets)[kept], most)
    unit = np.repeat(np.arange(len(kept)), lengths)
    place = np.arange(len(unit)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    out[unit, place] = values[offsets[kept][unit] + place]
    return out.reshape(len(kept), most * values.shape[1])


@dataclass(frozen=True, slots=True)
class Ragged:
    """Units end to end, real or drawn, with what is known of them beforehand."""

    lengths: NDArray[np.int64]  # (units,)
    whole: NDArray[np.bool_]  # (units,), the last event is the unit's last
    t: Floats  # (events,), s
    cats: NDArray[np.int32]  # (events, categories)
    nums: NDArray[np.int32]  # (events, numbers)
    weekday: NDArray[np.int64]  # (units,)
    room: Floats  # (units,), s
    shown: Floats  # (units, 6 + numbers), see `Seen.of_units`
    ease: Floats  # (units,)
    scaled: NDArray[np.int16]  # (units, attributes)
    told: NDArray[np.float32]  # (units, attributes), without the noise on the count
    shares: NDArray[np.uint8]  # (units, values)

    @property
    def unit(self) -> NDArray[np.int64]:
        """The unit of each event."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def place(self) -> NDArray[np.int64]:
        """The place of each event in its unit."""
        first = np.cumsum(self.lengths) - self.lengths
        return np.arange(len(self.t)) - np.repeat(first, self.lengths)

    @property
    def previous(self) -> Floats:
        """The time of the event before, -1 at a unit's first."""
        before = np.empty_like(self.t)
        before[1:] = self.t[:-1]
        before[(np.cumsum(self.lengths) - self.lengths)[self.lengths > 0]] = -1.0
        return before

    @classmethod
    def real(cls, rows: Mapping[str, NDArray[Any]]) -> Self:
        """The real units of examples."""
        lengths = rows["length"][:, 0].astype(np.int64)
        there = np.arange(MOST)[None, :] < lengths[:, None]

        def events(name: str) -> NDArray[Any]:
            return rows[name].reshape(len(lengths), MOST, rows[name].shape[1] // MOST)[there]

        return cls(
            lengths, rows["whole"][:, 0], events("t")[:, 0], events("cats"), events("nums"),
            rows["weekday"][:, 0], rows["room"][:, 0], **known(rows, np.zeros(len(lengths), int)),
        )  # fmt: skip

    @classmethod
    def of_records(cls, coder: Coder, records: Records) -> Self:
        """Units of records, with nothing known beforehand."""
        units = coder.units(records)
        n = len(units.anchor)
        none, room = np.zeros((n, 6 + len(coder.nums))), coder.room_s(units.anchor)
        nothing = np.zeros((n, 0), np.float32)
        return cls(
            units.lengths, np.ones(n, bool), units.t, units.cats, units.nums,
            (units.anchor + 3) % 7, room, none, none[:, 0], nothing.astype(np.int16), nothing,
            nothing.astype(np.uint8),
        )  # fmt: skip

    def encoded(self, clock: Clock) -> Encoded:
        """Rows as `EventTrainee.examples` takes them, each unit closed by a row for its end."""
        rows = self.lengths + 1
        unit = np.repeat(np.arange(len(rows)), rows)
        end = np.zeros(len(unit), bool)
        end[np.cumsum(rows) - 1] = True

        def spread(values: NDArray[Any]) -> NDArray[Any]:
            out = np.zeros((len(end), *values.shape[1:]), values.dtype)
            out[~end] = values
            return out

        previous = spread(self.previous)
        last = self.lengths > 0
        previous[np.cumsum(rows)[last] - 1] = self.t[np.cumsum(self.lengths)[last] - 1]
        token = spread(np.column_stack(clock.encode(self.t, self.previous)).astype(np.int16))
        token[end] = -1
        token[end, 0] = np.where(self.whole, clock.end, -1)
        shown = self.shown[unit]
        shown[:, 0] *= 1 + self.ease[unit] * np.maximum(previous, 0) / self.room[unit]
        events = {
            "end": end[:, None], "t": spread(self.t)[:, None], "clock": token,
            "cats": spread(self.cats), "nums": spread(self.nums),
            "weekday": self.weekday[unit].astype(np.int8)[:, None],
            "room": self.room[unit].astype(np.float32)[:, None],
            "shown": shown.astype(np.float32),
            "attributes": self.scaled[unit], "shares": self.shares[unit],
        }  # fmt: skip
        offsets = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
        return Encoded({}, events, offsets)


def known(rows: Mapping[str, NDArray[Any]], which: NDArray[np.int64]) -> Arrays:
    """What is known beforehand of one unit a row: `which` is 0 for the real one."""
    out = {}
    every = np.arange(len(which))
    for name in ("shown", "ease", "scaled", "told", "shares"):
        width = rows[name].shape[1] // (CANDIDATES + 1)
        values = rows[name].reshape(len(which), CANDIDATES + 1, width)[every, which]
        out[name] = values[:, 0] if name == "ease" else values
    return {**out, "told": (out["told"] / SCALE).astype(np.float32)}
