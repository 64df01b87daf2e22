"""Numbers: spikes have a token of their own, the rest lies in bins of equal mass.

Inside a bin values follow the bin's own distribution: values that `min_subjects` hold are kept,
the others lie between sub-quantiles, on the step that the column keeps (whole numbers, cents,
thirds). Beyond the last value that `min_subjects` hold comes a generalised-Pareto tail, so that
no exact extreme of one person is released. Missing is the last token.

State: distinct values with their rows and subjects; above `MOST_VALUES` light neighbours are
joined, while heavy values and both ends stay exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.columns import _numbers
from synth_spark.columns._lattice import denoised, rounded_parts, snap
from synth_spark.core.batch import Values

State = dict[str, Any]
MOST_VALUES = 65_536  # distinct values that a state keeps exactly


@dataclass(frozen=True, slots=True)
class Number:
    """Tokens in the order of their values; missing last.

    Decoding reads one monotone curve: token t owns the knots with `at` in [t, t + 1], and a draw
    `inside` its token reads the curve at t + inside, then moves to the segment's lattice.
    """

    spikes: NDArray[np.float64]  # (a,) ascending values that are tokens of their own
    spike_tokens: NDArray[np.int32]  # (a,)
    uppers: NDArray[np.float64]  # (b,) ascending, largest value of each bin but the last (inf)
    bin_tokens: NDArray[np.int32]  # (b,)
    at: NDArray[np.float64]  # (knots,) ascending
    value: NDArray[np.float64]  # (knots,)
    step: NDArray[np.int64]  # (knots,) lattice step of the segment that starts here; 0: none
    lattice: tuple[int, int]  # scale and origin, see columns/_lattice.py; scale 0: no lattice
    shares: NDArray[np.float64]  # (vocabulary,) of all rows
    missing_token: int  # -1: nothing was missing
    parts: int = 0  # such as 60: values are sixtieths, rounded to the lattice's decimals
    narrow: bool = False  # values were 32 bits wide: 0.333333343 for a third
    kind: ClassVar[str] = "number"

    @property
    def vocabulary(self) -> int:
        return len(self.shares)

    @staticmethod
    def summarise(values: Values, owners: NDArray[np.int64]) -> State:
        return _numbers.bounded(
            _numbers.counted(np.asarray(values, np.float64), owners), MOST_VALUES
        )

    @staticmethod
    def merge(left: State, right: State) -> State:
        return _numbers.bounded(_numbers.added(left, right), MOST_VALUES)

    @classmethod
    def finish(
        cls,
        state: State,
        *,
        min_subjects: int = 5,
        bins: int = 48,
        halved: int = 0,
        bin_rows: int = 15,
        spike_share: float = 0.004,
        spike_rows: int = 10,
        exact_values: int = 128,
    ) -> Self:
        """The codec of all parts.

        Args:
            state: What `merge` gave.
            min_subjects: A spike, and an end of the range, is held by at least so many subjects.
            bins: At most so many bins of equal mass for what is no spike.
            halved: So often the bins at the ends are halved, where they have the rows.
            bin_rows: Least rows of a bin.
            spike_share: A value with this share of the rows is a spike.
            spike_rows: Least rows of a spike.
            exact_values: With at most so many distinct values every supported one is a spike.
        """
        plan = _numbers.Plan(
            min_subjects, bins, halved, bin_rows, spike_share, spike_rows, exact_values
        )
        return cls(**_numbers.finished(state, plan))

    def encode(self, values: Values) -> NDArray[np.int32]:
        """Tokens, shape (rows,). A value outside the range gets the nearest bin or spike."""
        x = np.asarray(values, np.float64)
        missing = np.isnan(x)
        x = denoised(np.where(missing, 0.0, x), self.lattice[0])
        if not len(self.spikes) and not len(self.uppers):
            return np.zeros(len(x), np.int32)
        if len(self.spikes):
            near = _nearest(self.spikes, x)
            tokens = self.spike_tokens[near]
        if len(self.uppers):
            binned = self.bin_tokens[np.searchsorted(self.uppers[:-1], x, side="left")]
            noise = 1e-9 * np.abs(x)
            tokens = (
                np.where(np.abs(self.spikes[near] - x) <= noise, tokens, binned)
                if len(self.spikes)
                else binned
            )
        usual = self.missing_token if self.missing_token >= 0 else self.vocabulary // 2
        return np.where(missing, np.int32(usual), tokens).astype(np.int32)

    def decode(self, tokens: NDArray[np.int32], inside: NDArray[np.float64]) -> NDArray[np.float64]:
        if not len(self.at):
            return np.full(len(tokens), np.nan)
        known = tokens != self.missing_token
        t = np.where(known, tokens, 0)
        return np.where(known, self.curve(t + np.minimum(inside, 1 - 1e-9)), np.nan)

    def curve(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at `at` = token + position inside it, on the lattice; shape as `at`."""
        segment = np.clip(np.searchsorted(self.at, at, side="right") - 1, 0, len(self.at) - 2)
        width = np.maximum(self.at[segment + 1] - self.at[segment], 1e-12)
        rise = self.value[segment + 1] - self.value[segment]
        value = self.value[segment] + rise * np.clip((at - self.at[segment]) / width, 0.0, 1.0)
        scale, origin = self.lattice
        value = snap(value, scale, self.step[segment], origin)
        value = rounded_parts(value, self.parts, scale) if self.parts else value
        return value.astype(np.float32).astype(np.float64) if self.narrow else value

    def state(self) -> State:
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_state(cls, state: State) -> Self:
        return cls(**{**state, "lattice": tuple(state["lattice"])})


_FIELDS = (
    "spikes", "spike_tokens", "uppers", "bin_tokens", "at", "value", "step", "lattice", "shares",
    "missing_token", "parts", "narrow",
)  # fmt: skip


def _nearest(sorted_values: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.int64]:
    right = np.clip(np.searchsorted(sorted_values, x), 1, max(len(sorted_values) - 1, 1))
    right = np.minimum(right, len(sorted_values) - 1)
    left = np.maximum(right - 1, 0)
    closer = np.abs(sorted_values[left] - x) <= np.abs(sorted_values[right] - x)
    return np.where(closer, left, right)


CODEC = Number
EXAMPLE = (
    {"min_subjects": 2, "bins": 4, "bin_rows": 2, "spike_rows": 3},
    np.array([0.0, 0.0, 0.0, 1.5, 2.5, np.nan, 7.5, 9.0, 0.0, 3.5]),
    np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8], dtype=np.int64),
)
