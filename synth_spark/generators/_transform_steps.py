"""The operations of a flat table's chain on blocks of tokens, with what each has learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators import _transform_ops as ops
from synth_spark.generators._transform_groups import grouped_starts, mdav
from synth_spark.generators._transform_strata import Levels, Strata, scores_of

Tokens = NDArray[np.int32]
Flags = NDArray[np.bool_]
Watch = Callable[[str, Tokens], None]  # told of the tokens after each operation


@dataclass(frozen=True, slots=True)
class Ranks:
    """Donors' numbers sorted within strata of equal categories, for `rank_swap`."""

    used: tuple[int, ...]  # columns of categories that make the strata
    widths: tuple[int, ...]  # tokens of each
    keys: NDArray[np.int64]  # (strata,), ascending
    starts: NDArray[np.int64]  # (strata + 1,)
    held: Mapping[int, Tokens]  # column -> (donors,)

    @classmethod
    def of(cls, donors: Tokens, ordered: Flags, least: int) -> Self:
        """Strata of at least `least` donors."""
        labels = np.flatnonzero(~ordered)
        stratum, used = ops.category_strata(donors[labels], least)
        columns = tuple(int(labels[u]) for u in used)
        widths = tuple(int(donors[j].max(initial=0)) + 1 for j in columns)
        order, starts = grouped_starts(stratum)
        keys = _keys(donors, columns, widths)[order][starts[:-1]]
        turn = np.argsort(keys)  # strata in the order of their keys
        size = np.diff(starts)[turn]
        rows = np.concatenate([order[starts[t] : starts[t + 1]] for t in turn])
        owner = np.repeat(np.arange(len(turn)), size)
        held = {
            int(j): donors[j][rows][np.lexsort((donors[j][rows], owner))]
            for j in np.flatnonzero(ordered)
        }
        return cls(columns, widths, keys[turn], np.concatenate([[0], np.cumsum(size)]), held)

    def stratum(self, tokens: Tokens) -> tuple[NDArray[np.int64], Flags]:
        """The stratum of each row, and whether it has one; both (rows,)."""
        own = _keys(tokens, self.used, self.widths)
        at = np.minimum(np.searchsorted(self.keys, own), len(self.keys) - 1)
        return at.astype(np.int64), self.keys[at] == own

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`; `from_state` reads it back."""
        return {
            "used": self.used, "widths": self.widths, "keys": self.keys, "starts": self.starts,
            "held": dict(self.held),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The ranks that `state` came from."""
        return cls(**state)


def _keys(tokens: Tokens, used: tuple[int, ...], widths: tuple[int, ...]) -> NDArray[np.int64]:
    key = np.zeros(tokens.shape[1], np.int64)
    for j, width in zip(used, widths, strict=True):
        # a label that no donor has fits no key
        key = np.where(tokens[j] < width, key * width + tokens[j], -(2**40))
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much each operation does."""

    group: int
    noise_share: float
    redraw_share: float
    rank_share: float


@dataclass(frozen=True, slots=True)
class Steps:
    """A chain ready to be carried out; empty parts where an operation is not in it."""

    chain: tuple[str, ...]
    amounts: Amounts
    ordered: Flags  # (columns,)
    shares: tuple[NDArray[np.float64], ...]  # one a column, of its tokens
    levels: Levels | None = None  # swap
    strata: tuple[Strata, ...] = ()  # swap, one a column
    ranks: Ranks | None = None  # rank_swap

    @classmethod
    def learn(
        cls, donors: Tokens, sizes: list[int], ordered: Flags, chain: tuple[str, ...],
        amounts: Amounts, seed: int,
    ) -> Self:  # fmt: skip
        """What the chain's operations need to know of the donors, (columns, donors)."""
        counts = [np.bincount(c, minlength=s) for c, s in zip(donors, sizes, strict=True)]
        shares = tuple(c / max(donors.shape[1], 1) for c in counts)
        levels, ranks = None, None
        strata: tuple[Strata, ...] = ()
        if "swap" in chain:
            levels = Levels.of(donors, sizes, ordered)
            strata = tuple(
                Strata.grow(donors, levels, j, leaf=amounts.group, trees=1, seed=seed)
                for j in range(len(donors))
            )
        if "rank_swap" in chain and ordered.any():
            ranks = Ranks.of(donors, ordered, amounts.group)
        return cls(chain, amounts, ordered, shares, levels, strata, ranks)

    def run(
        self, tokens: Tokens, moved: Flags, rng: np.random.Generator, watch: Watch | None = None,
        sweeps: int = 1,
    ) -> Tokens:  # fmt: skip
        """Carry out the chain on rows.

        Args:
            tokens: Shape (columns, rows); not changed.
            moved: Columns that may change, shape (columns,).
            rng: The block's.
            watch: Told of the tokens after each operation.
            sweeps: Of `swap` over all columns.
        """
        tokens = tokens.copy()
        for name in self.chain:
            if name == "swap":
                self._swap(tokens, moved, rng, sweeps)
            elif name == "rank_swap" and self.ranks is not None:
                self._rank_swap(self.ranks, tokens, moved, rng)
            elif name == "noise":
                self._noise(tokens, moved, rng)
            if watch is not None and name in ("swap", "rank_swap", "noise"):
                watch(name, tokens)
        return tokens

    def _swap(self, tokens: Tokens, moved: Flags, rng: np.random.Generator, sweeps: int) -> None:
        assert self.levels is not None
        codes = self.levels.codes(tokens)
        every = np.ones(tokens.shape[1], np.bool_)
        for _ in range(sweeps):
            for j in rng.permutation(len(tokens)):
                if moved[j]:
                    self.strata[j].redraw(codes, every, rng, tokens[j])
                    codes[j] = self.levels.tables[j][tokens[j]]

    def _rank_swap(
        self, ranks: Ranks, tokens: Tokens, moved: Flags, rng: np.random.Generator
    ) -> None:
        stratum, found = ranks.stratum(tokens)
        for j, held in ranks.held.items():
            fresh = ops.rank_swap(
                tokens[j], stratum, held, ranks.starts, self.amounts.rank_share, rng
            )
            if moved[j]:
                tokens[j] = np.where(found, fresh, tokens[j])

    def _noise(self, tokens: Tokens, moved: Flags, rng: np.random.Generator) -> None:
        for j in np.flatnonzero(moved):
            if self.ordered[j]:
                tokens[j] = ops.noisy(tokens[j], self.shares[j], self.amounts.noise_share, rng)
            else:
                tokens[j] = ops.redrawn(tokens[j], self.shares[j], self.amounts.redraw_share, rng)

    @property
    def smallest(self) -> int | None:
        """Donors of the smallest stratum of all, None without strata."""
        sizes = [s.smallest for s in self.strata]
        if self.ranks is not None:
            sizes.append(int(np.diff(self.ranks.starts).min()))
        return min(sizes) if sizes else None

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`; `from_state` reads it back."""
        return {
            "chain": self.chain,
            "amounts": {n: getattr(self.amounts, n) for n in Amounts.__slots__},
            "ordered": self.ordered,
            "shares": list(self.shares),
            "levels": self.levels.state() if self.levels else None,
            "strata": [s.state() for s in self.strata],
            "ranks": self.ranks.state() if self.ranks else None,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The steps that `state` came from."""
        return cls(
            tuple(state["chain"]),
            Amounts(**state["amounts"]),
            state["ordered"],
            tuple(state["shares"]),
            Levels.from_state(state["levels"]) if state["levels"] else None,
            tuple(Strata.from_state(s) for s in state["strata"]),
            Ranks.from_state(state["ranks"]) if state["ranks"] else None,
        )


def aggregated(donors: Tokens, ordered: Flags, k: int) -> tuple[Tokens, NDArray[np.int64]]:
    """Micro-aggregated donors and their groups of at least k."""
    parts = [scores_of(c, bool(o)) for c, o in zip(donors, ordered, strict=True)]
    points = np.column_stack(parts) if parts else np.zeros((donors.shape[1], 1))
    group = mdav(points, k)
    return ops.centred(donors, ordered, group), group
