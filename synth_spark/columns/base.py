"""What every column codec promises: it learns by counting and turns values into tokens and back."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.batch import Values


class Codec(Protocol):
    """Values of one column as tokens in [0, vocabulary), and tokens back to values.

    Learned in three steps that run on one array, on Spark partitions and across silos alike:
    `summarise` a part, `merge` two states, `finish` on the driver. States are trees for
    `core/wire.py`. A missing value has a token of its own (`missing_token`, -1 if none was seen).
    """

    kind: ClassVar[str]
    vocabulary: int
    missing_token: int

    @staticmethod
    def summarise(values: Values, owners: NDArray[np.int64]) -> Any:
        """The state of one part. `owners` gives each row's subject by position in the part."""

    @staticmethod
    def merge(left: Any, right: Any) -> Any:
        """The state of two parts whose subjects differ."""

    @classmethod
    def finish(cls, state: Any, **settings: Any) -> Self:
        """The codec of all parts; `settings` are the kind's own (least counts, bins, ...)."""

    def encode(self, values: Values) -> NDArray[np.int32]:
        """Tokens, shape (rows,). A value never seen gets the nearest or the rare token."""

    def decode(self, tokens: NDArray[np.int32], inside: NDArray[np.float64]) -> Values:
        """Values, shape (rows,). `inside` in [0, 1) places a value within its token."""

    def state(self) -> dict[str, Any]:
        """A tree for `core/wire.py`; `from_state` reads it back."""

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The codec that `state` came from."""
