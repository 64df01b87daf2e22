"""From a coder to the shape of its network: bases, direct tables, forbidden pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns.number import Number
from synth_spark.generators import _flat_zeros as zeros
from synth_spark.generators._flat_days import Week
from synth_spark.generators._flat_near import MOST_PLAIN, Tables, counts_of, mutual_nats
from synth_spark.generators._flat_places import basis, parts
from synth_spark.generators._flat_tokens import Coder, Drawn
from synth_spark.generators._flat_week import WEEK_DAYS

if TYPE_CHECKING:
    from synth_spark.models.columns import Layout, Slot

Basis = NDArray[np.float32]
Hats = tuple[tuple[int, float], ...]  # how many hat functions, and their scale
_LEARNED_IN, _LEARNED_OUT = 16, 32
_DIRECT_BUDGET = 4_000_000  # weights of all direct tables
_FIRST_BUDGET = 6_000_000  # weights of the first layer
_WIDE = 50  # a table with more columns is wide: each column sees its strongest slots only
_REACH = 32  # so many of them
_GROUPS = 32  # at most, of a column's tokens, for mutual information
_MUTUAL_ROWS = 20_000
_CHANCE = 3.0  # spreads above the mutual information of shuffled rows
_MOST_PARTS = 512  # of the map, by which places enter
_MOST_NUMBERS = 4_000_000  # that say which places are in which parts
_OWN_SHARE = 0.05  # a token with this share of the rows has a feature of its own


def layout_of(
    coder: Coder,
    tokens: NDArray[np.int32],
    pairs: NDArray[np.int64],
    dropout: float,
    told: tuple[Tables, ...] = (),
    strength: float = 1.0,
    finer: float = 1.0,
) -> Layout:
    """The network for one table.

    Args:
        coder: What turns its records into tokens.
        tokens: Of a sample of the rows, as `Coder.encode` gives them.
        pairs: Counts of pairs of classes over all rows, see `_flat_zeros`.
        dropout: Share of the hidden units that are left out while training.
        told: What labels add to the logits of others, see `_flat_beside.py`.
        strength: Of the direct tables, see `Layout`.
        finer: Scale of each set of hat functions beside the next coarser: below 1, neighbouring
            bins are told apart later.
    """
    from synth_spark.models.columns import Layout

    columns = len(coder.drawn)
    hats = (4, 8, 16, 32) if columns <= 60 else (4, 8, 16)
    scales = tuple((count, finer**i) for i, count in enumerate(hats))
    slots = _slots(coder, scales)
    outs, ranks = zip(*(_out(d, scales) for d in coder.drawn), strict=True)
    sizes = tuple(d.vocabulary for d in coder.drawn)
    costs_in = [s.features(_LEARNED_IN) for s in slots]
    costs_out = [
        r or (v if b is None else b.shape[1]) for r, v, b in zip(ranks, sizes, outs, strict=True)
    ]
    class_of, never = _never(coder, tokens, pairs, sizes)
    width = 12 if columns <= 40 or columns > _WIDE else 8
    large = sum(costs_in) * columns * width > _FIRST_BUDGET
    parents, reach = _parents(slots, _in_order(coder, tokens), costs_in, costs_out)
    return Layout(
        slots=slots,
        outs=outs,
        sizes=sizes,
        ranks=ranks,
        parents=parents,
        bias=tuple(_log_shares(tokens[:, c], size) for c, size in enumerate(sizes)),
        class_of=class_of,
        never=never,
        width=width,
        dropout=dropout,
        squeeze=8 if large else 0,
        reach=reach,
        learned=_LEARNED_IN,
        beside=told,
        strength=strength,
    )


def _slots(coder: Coder, hats: Hats) -> tuple[Slot, ...]:
    from synth_spark.models.columns import Slot

    out = [
        Slot(
            i, _basis(d, hats, 0.02), d.vocabulary,
            learned=d.field.kind == "place" and d.vocabulary > MOST_PLAIN,
        )
        for i, d in enumerate(coder.drawn)
    ]  # fmt: skip
    for i in coder.seen:
        plain = coder.drawn[i].plain
        assert plain is not None
        out.append(Slot(i, number_basis(plain, hats, 0.02), plain.vocabulary))
    return tuple(out)


def _out(drawn: Drawn, hats: Hats) -> tuple[Basis | None, int]:
    """How a column's logits are made: (basis or None, width of learned vectors or 0).

    Learned vectors begin with the basis, if there is one.
    """
    if drawn.field.kind == "place":
        if drawn.vocabulary <= MOST_PLAIN:
            return _basis(drawn, hats, 0.03), 0
        begin = basis(drawn.codec, _LEARNED_OUT // 2)
        return begin, begin.shape[1]
    if drawn.field.kind == "number":
        return _basis(drawn, hats, 0.03), 0
    return None, _LEARNED_OUT if drawn.vocabulary > MOST_PLAIN else 0


def _basis(drawn: Drawn, hats: Hats, own: float) -> Basis | None:
    if drawn.field.kind != "number":
        size = drawn.vocabulary
        itself = np.eye(size, dtype=np.float32) if size <= MOST_PLAIN else None
        if drawn.field.kind != "place":
            return itself
        told = basis(drawn.codec, min(_MOST_PARTS, _MOST_NUMBERS // (2 * size)), hats[1][1])
        return told if itself is None else np.hstack([told, itself])
    first = number_basis(drawn.codec, hats, own)
    if not drawn.open_plain or drawn.plain is None:
        return first
    second = number_basis(drawn.plain, hats, own)
    both = np.zeros((len(first) + len(second), first.shape[1] + second.shape[1]), np.float32)
    both[: len(first), : first.shape[1]] = first
    both[len(first) :, first.shape[1] :] = second
    return both


def number_basis(codec: Number, hats: Hats, own: float) -> Basis:
    """Rank, hat functions at equal mass, and each token itself; shape (vocabulary, features).

    Light tokens have their own feature at the small scale `own`, so that they are told apart only
    after their neighbours; heavy ones (and missing) at scale 1.
    """
    size = codec.vocabulary
    shares = codec.shares
    place = np.clip(np.cumsum(shares) - shares / 2, 0, 1)
    blocks = [2 * place[:, None] - 1]
    for count, scale in hats:
        if count < size:
            knots = np.linspace(0, 1, count)
            hat = np.maximum(0, 1 - np.abs(place[:, None] - knots) * (count - 1))
            blocks.append(scale * hat)
    smooth = np.hstack(blocks)
    if codec.missing_token >= 0:
        smooth[codec.missing_token] = 0
    alone = np.where(shares >= _OWN_SHARE, 1.0, own)
    alone[codec.missing_token :] = 1.0 if codec.missing_token >= 0 else alone[-1]
    return np.hstack([smooth, np.diag(alone)]).astype(np.float32)


def _log_shares(tokens: NDArray[np.int32], size: int) -> NDArray[np.float32]:
    counts = np.bincount(tokens, minlength=size) + 0.5
    return np.asarray(np.log(counts / counts.sum()), np.float32)


_Slots = tuple[tuple[int, ...], ...]  # per column


def _parents(
    slots: tuple[Slot, ...], tokens: NDArray[np.int32], costs_in: list[int], costs_out: list[int]
) -> tuple[_Slots, _Slots]:
    """Slots with a direct table to each column, and slots its units see (empty: all earlier).

    A direct table has thousands of weights; one between columns that tell nothing of each other
    learns the noise of the records only. So a pair has one if its mutual information is more than
    chance gives, as far as the budget goes, the most telling pairs first.
    """
    columns = len(costs_out)
    every = [tuple(s for s, slot in enumerate(slots) if slot.column < c) for c in range(columns)]
    some = tokens[:_MUTUAL_ROWS]
    groups = int(np.clip(np.sqrt(len(some)) / 2.5, 5, _GROUPS))  # a few rows a cell
    coarse = [_coarse(some[:, s], groups) for s in range(len(slots))]
    mixed = np.random.default_rng(0).permutation(len(coarse[0]))
    scored = []
    for c in range(columns):
        for s in every[c]:
            nats = mutual_nats(counts_of(coarse[s], coarse[c], (groups, groups)))
            chance = mutual_nats(counts_of(coarse[s][mixed], coarse[c], (groups, groups)))
            # twice the rows times the nats is about chi-square: its spread follows from its mean
            beyond = _CHANCE * np.sqrt(max(chance, 0.0) / len(mixed)) + 1 / len(mixed)
            scored.append((-(nats - chance), c, s, nats > chance + beyond))
    scored.sort()
    left, kept = _DIRECT_BUDGET, [set[int]() for _ in range(columns)]
    reach: list[list[int]] = [[] for _ in range(columns)]
    for _, c, s, telling in scored:
        if telling and costs_in[s] * costs_out[c] <= left:
            left -= costs_in[s] * costs_out[c]
            kept[c].add(s)
        if len(reach[c]) < _REACH:
            reach[c].append(s)
    near = tuple(tuple(sorted(r)) for r in reach) if columns > _WIDE else ()
    return tuple(tuple(sorted(k)) for k in kept), near


def _in_order(coder: Coder, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Some rows, places numbered so that neighbours on the map mostly follow each other."""
    some = tokens[:_MUTUAL_ROWS]
    for c, drawn in enumerate(coder.drawn):
        if drawn.field.kind == "place":
            *_, order = (np.zeros(len(drawn.codec.centre), np.int64), *parts(drawn.codec.centre))
            place = np.append(np.argsort(np.argsort(order, kind="stable")), len(order))
            some = some.copy()
            some[:, c] = place[some[:, c]]
    return some


def _coarse(tokens: NDArray[np.int32], groups: int) -> NDArray[np.int64]:
    """At most so many groups: the tokens themselves, or neighbours together, of equal mass."""
    rows = np.bincount(tokens)
    if (rows > 0).sum() <= groups:
        return np.searchsorted(np.flatnonzero(rows), tokens).astype(np.int64)
    before = np.cumsum(rows) - rows
    group = (before + rows / 2) * groups // max(len(tokens), 1)
    return np.minimum(group, groups - 1).astype(np.int64)[tokens]


def _never(
    coder: Coder, tokens: NDArray[np.int32], pairs: NDArray[np.int64], sizes: tuple[int, ...]
) -> tuple[tuple[NDArray[np.int64], ...], Basis]:
    """Class rows of each token column, and what each class row takes from every logit."""
    from synth_spark.models.columns import NEVER

    classes = zeros.all_classes(coder)
    starts, ends = zeros.offsets(classes), np.cumsum([0, *sizes])
    zero = zeros.forbidden(classes, pairs)
    never = np.zeros((starts[-1] + 2 * len(coder.gated), ends[-1]), np.float32)
    for c, of_token in enumerate(classes):
        columns = starts[c] + of_token
        never[: starts[c], ends[c] : ends[c + 1]] = np.where(
            zero[: starts[c]][:, columns], NEVER, 0
        )
    for g, c, other in _other_days(coder, tokens):
        if classes[g].any():  # a class a week day, in their order
            never[starts[g] : starts[g + 1], ends[c] : ends[c + 1]][other] = NEVER
    rows = [starts[c] + of_token.astype(np.int64) for c, of_token in enumerate(classes)]
    rows = [r if int(k.max(initial=0)) else r[:0] for r, k in zip(rows, classes, strict=True)]
    rows += [np.zeros(0, np.int64) for _ in coder.seen]
    for g, c in enumerate(coder.gated):
        drawn, row = coder.drawn[c], int(starts[-1]) + 2 * g
        own, missing = drawn.codec.vocabulary, drawn.codec.missing_token
        never[row, ends[c] + own : ends[c + 1]] = NEVER  # parents known: no bins of the value
        shut = [t for t in range(own) if t != missing]
        never[row + 1, ends[c] + np.array(shut, np.int64)] = NEVER
        rows.append(np.array([row, row + 1], np.int64))
    return tuple(rows), never


def _other_days(
    coder: Coder, tokens: NDArray[np.int32]
) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Columns of week days and of days, and which tokens of these hold none of those.

    Shape (tokens of the first, tokens of the second). The least and the largest days may be of
    any week day: what lies beyond them is told as one of them.
    """
    place = {d.field.name: i for i, d in enumerate(coder.drawn)}
    for c, drawn in enumerate(coder.drawn):
        g = place.get(f"{drawn.field.column}#week day")
        if drawn.field.part != "day" or drawn.days is None or g is None:
            continue
        empty = Week.of(drawn.days, drawn.codec).empty
        shut = np.zeros((coder.drawn[g].vocabulary, len(empty)), bool)
        for token, label in enumerate(coder.drawn[g].codec.labels):
            if label in WEEK_DAYS:
                shut[token] = empty[:, WEEK_DAYS.index(label)]
        last = len(empty) - 1 - (drawn.codec.missing_token >= 0)
        shut[:, [0, last]] = False
        shut[:, drawn.codec.missing_token :] &= drawn.codec.missing_token < 0
        shut[tokens[:, g], tokens[:, c]] = False
        yield g, c, shut
