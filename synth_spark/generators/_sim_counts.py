"""The second pass of a simulation, the aggregates that it is fitted to: sums over subjects.

No row leaves a part: only counts by hour of the week, sums and sums of squares, and shares by rank.
How many subjects stand behind each number is counted too, so that few are never told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.number import Number
from synth_spark.columns.survey import subject_rows, values_of
from synth_spark.core.batch import Coded, Records, Values
from synth_spark.core.schema import Column, Schema
from synth_spark.generators._sim_other import groups_of
from synth_spark.generators._sim_spans import State, stamps

RANKS = 40  # of contacts that are counted one by one
ANSWER_S = 1_800.0  # an event the other way with the same party within this time is an answer
BURST_S, SESSION_S = 1.0, 1_800.0  # gaps below: one page; below: one session


@dataclass(frozen=True, slots=True)
class Ask:
    """What the second pass counts, known from the first."""

    schema: Schema
    start_us: int
    clock: NDArray[np.float64]  # cumulative intensity by hour from the start, hours of mean pace
    labels: tuple[str, ...]  # event columns of labels whose habits are measured
    main: str  # groups the numbers
    groups: tuple[str, ...]  # the main column's labels
    codecs: dict[str, Any]  # numbers and places
    by_main: dict[str, tuple[str, ...]]  # flat: columns of labels counted by the main one's label
    place: str  # location: the column of latitudes; "" for none
    place_codec: Any  # of the places, where there are no cells
    cells: tuple[str, ...]  # labels of the cells that are told
    active_h: float  # hours of the mean clock in which a subject is seen
    family: str


def second_state(ask: Ask, records: Records) -> State:
    """All sums of one part."""
    sums: State = {}
    events = ask.schema.shape == "events"
    if events:
        _habits(ask, records, sums)
        _gaps(ask, records, sums)
    times = {}
    for column in ask.schema.columns:
        if column.kind == "time" and column.name != ask.schema.time:
            values, owners = later(ask.schema, column, records)
            times[column.name] = Number.summarise(values, owners)
    group = _groups(ask, records)
    tokens = {name: _tokens(ask, name, codec, records, group) for name, codec in ask.codecs.items()}
    for name, labels in ask.by_main.items():
        sums[f"by/{name}"] = _pairs(ask, records.columns[name], labels, group)
    if events and ask.family == "cdr":
        _calls(ask, records, sums)
    if ask.place:
        _places(ask, records, sums)
    if events and ask.family in ("cdr", "location") and "cell_id" in records.columns:
        cells = records.columns["cell_id"]
        assert isinstance(cells, Coded)
        known = cells.codes >= 0
        pairs = np.unique(records.owners[known] * len(cells.labels) + cells.codes[known])
        sums["cells"] = _moment(np.bincount(pairs // max(len(cells.labels), 1)).astype(float))
        sums["visits"] = _moment(np.bincount(records.owners[known]).astype(float))
    return {"sums": sums, "times": times, "tokens": tokens}


def merge_second(left: State, right: State) -> State:
    """The state of two parts."""
    names = {**left["sums"], **right["sums"]}
    sums = {n: left["sums"].get(n, 0) + right["sums"].get(n, 0) for n in names}
    times = {n: Number.merge(left["times"][n], right["times"][n]) for n in left["times"]}
    return {
        "sums": sums,
        "times": times,
        "tokens": {n: left["tokens"][n] + right["tokens"][n] for n in left["tokens"]},
    }


def _moment(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count, sum and sum of squares of the positive values."""
    kept = values[values > 0]
    return np.array([len(kept), kept.sum(), (kept**2).sum()])


def later(schema: Schema, column: Column, records: Records) -> tuple[Any, NDArray[np.int64]]:
    """Seconds of a further time: behind the event, or since 1970 for a subject's; its owners."""
    rows = subject_rows(schema, column, records)
    values = np.asarray(records.columns[column.name]).astype("datetime64[us]")[rows]
    seconds = np.where(np.isnat(values), np.nan, values.astype(np.int64) / 1e6)
    if schema.time and column.per == "event":
        seconds = seconds - stamps(schema, records)[rows] / 1e6
    return seconds, records.owners[rows]


def _groups(ask: Ask, records: Records) -> NDArray[np.int64]:
    if not ask.main:
        return np.zeros(records.rows, np.int64)
    found = records.columns[ask.main]
    assert isinstance(found, Coded)
    codes = found.recode(ask.groups, -1)
    coded: dict[str, Values] = {ask.main: Coded(codes.astype(np.int32), ask.groups)}
    return groups_of(coded, ask.main, len(ask.groups) + 1, records.rows)


def _tokens(
    ask: Ask, name: str, codec: Any, records: Records, group: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How often each token occurs in each group; shape (groups, vocabulary)."""
    column = ask.schema.column(name)
    rows = subject_rows(ask.schema, column, records)
    tokens = codec.encode(values_of(column, records)[rows])
    once = ask.schema.shape == "events" and column.per == "subject"
    own = np.zeros(len(rows), np.int64) if once else group[rows]
    size = len(ask.groups) + 1 if ask.main and not once else 1
    own = np.minimum(own, size - 1)
    flat = np.bincount(own * codec.vocabulary + tokens, minlength=size * codec.vocabulary)
    return np.asarray(flat.reshape(size, codec.vocabulary))


def _places(ask: Ask, records: Records, sums: State) -> None:
    """Rows of each place; or rows, sums of latitudes and of longitudes of each cell."""
    values = values_of(ask.schema.column(ask.place), records)
    if ask.place_codec is not None:
        tokens = ask.place_codec.encode(values)
        sums["at"] = np.bincount(tokens, minlength=ask.place_codec.vocabulary)
        return
    cells = records.columns["cell_id"]
    assert isinstance(cells, Coded)
    codes, pairs = cells.recode(ask.cells, -1), np.asarray(values, float)
    good = (codes >= 0) & ~np.isnan(pairs).any(axis=1)
    stack = [np.ones(int(good.sum())), pairs[good, 0], pairs[good, 1]]
    size = len(ask.cells)
    sums["where"] = np.stack([np.bincount(codes[good], w, minlength=size) for w in stack])


def _pairs(
    ask: Ask, values: Values, labels: tuple[str, ...], group: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How often each label stands in each group, missing last; (groups, labels + 1)."""
    assert isinstance(values, Coded)
    size, groups = len(labels) + 1, len(ask.groups) + 1
    codes = values.recode(labels, -2).astype(np.int64)
    kept = codes > -2  # labels of few subjects are not counted
    codes = np.where(codes < 0, size - 1, codes)
    flat = np.bincount(group[kept] * size + codes[kept], minlength=groups * size)
    return np.asarray(flat.reshape(groups, size))


def _habits(ask: Ask, records: Records, sums: State) -> None:
    """Of each column of labels: pairs of a subject's events, and those that agree."""
    owners, same = records.owners, np.diff(records.owners) == 0
    ids = [c.name for c in ask.schema.of_kind("identifier") if c.counterpart]
    for name in (*ask.labels, *ids):
        column = records.columns[name]
        assert isinstance(column, Coded)
        known = column.codes >= 0
        size = max(len(column.labels), 1)
        _, counts = np.unique(owners[known] * size + column.codes[known], return_counts=True)
        each = np.bincount(owners[known], minlength=records.subjects)
        both = same & known[1:] & known[:-1]
        agree = (column.codes[1:] == column.codes[:-1]) & both
        sums[f"habit/{name}"] = np.array(
            [(counts * (counts - 1.0)).sum(), (each * (each - 1.0)).sum(), agree.sum(), both.sum(),
             (each > 1).sum()], float,
        )  # fmt: skip


def _gaps(ask: Ask, records: Records, sums: State) -> None:
    """Gaps in the clock of the week, as parts of the subject's own mean; bursts and sessions."""
    seconds = (stamps(ask.schema, records) - ask.start_us) / 1e6
    hours = np.clip(seconds / 3_600.0, 0.0, len(ask.clock) - 1.0)
    pace = np.interp(hours, np.arange(len(ask.clock)), ask.clock)
    within = np.diff(records.owners) == 0
    plain, owner = np.diff(seconds)[within], records.owners[1:][within]
    starts = np.ones(len(plain), bool)
    if ask.family not in ("cdr", "location"):  # their events come in sessions: between these
        starts = plain >= SESSION_S
    each = 1 + np.bincount(owner[starts], minlength=records.subjects)
    gap = (np.diff(pace)[within] * each[owner] / ask.active_h)[starts]
    sums["gaps"] = np.array([len(gap), gap.sum(), (gap**2).sum()])
    inside = plain[(plain >= BURST_S) & (plain < SESSION_S)]
    logs = np.log(inside)
    sums["pages"] = np.array(
        [len(plain), (plain < BURST_S).sum(), len(inside), logs.sum(), (logs**2).sum(),
         records.subjects], float,
    )  # fmt: skip


def _calls(ask: Ask, records: Records, sums: State) -> None:
    """Log-moments of lengths and volumes by type; ranks of contacts; answers."""
    types = records.columns.get("event_type")
    codes = np.zeros(records.rows, np.int64)
    if isinstance(types, Coded) and ask.main == "event_type":
        codes = _groups(ask, records)
    for name in ("duration_s", "uplink_bytes", "downlink_bytes"):
        if name not in records.columns:
            continue
        values = np.asarray(records.columns[name], float)
        there = ~np.isnan(values)
        good = there & (values > 0)
        logs = np.log(np.where(good, values, 1.0))
        size = len(ask.groups) + 1
        stack = [there, good, logs * good, logs**2 * good]
        table = [np.bincount(codes, s, minlength=size) for s in stack]
        pairs = np.unique(codes[good] * records.subjects + records.owners[good])
        table.append(np.bincount(pairs // records.subjects, minlength=size))
        sums[f"logs/{name}"] = np.stack(table)
    party = records.columns.get("correspondent_id")
    if isinstance(party, Coded):
        _contacts(records, party, sums)
        _answers(ask, records, party, sums)


def _contacts(records: Records, party: Coded, sums: State) -> None:
    known = party.codes >= 0
    size = max(len(party.labels), 1)
    pairs, counts = np.unique(records.owners[known] * size + party.codes[known], return_counts=True)
    owner = pairs // size
    order = np.lexsort((-counts, owner))
    owner, counts = owner[order], counts[order]
    first = np.searchsorted(owner, owner)
    rank = np.arange(len(owner)) - first
    low = rank < RANKS
    sums["ranks"] = np.bincount(rank[low], counts[low], minlength=RANKS)
    each = np.bincount(owner, minlength=records.subjects).astype(float)
    logs = np.log(each[each > 0])
    sums["contacts"] = np.array([len(logs), each.sum(), logs.sum(), (logs**2).sum()])


def _answers(ask: Ask, records: Records, party: Coded, sums: State) -> None:
    way = records.columns.get("direction")
    if not isinstance(way, Coded) or not ask.schema.time:
        return
    gap = np.diff(stamps(ask.schema, records)) / 1e6
    same = (np.diff(records.owners) == 0) & (party.codes[1:] == party.codes[:-1])
    same &= (party.codes[1:] >= 0) & (way.codes[1:] != way.codes[:-1])
    hit = same & (gap > 0) & (gap < ANSWER_S)
    logs = np.log(gap[hit])
    sums["answers"] = np.array([(party.codes >= 0).sum(), hit.sum(), logs.sum(), (logs**2).sum()])
