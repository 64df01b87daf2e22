"""The learned decoder as a model: draws subjects, their units, and the events of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from synth_spark.core.conditions import Condition
from synth_spark.core.ports import Schedule
from synth_spark.errors import PlanError
from synth_spark.generators._events_decode import Base
from synth_spark.generators._events_net import EventsModel
from synth_spark.generators._events_support import Support
from synth_spark.generators._gpt_folded import Trunk
from synth_spark.generators._gpt_seen import Sight
from synth_spark.generators._gpt_train import GptTrainee
from synth_spark.generators._gpt_window import Allowed, GptWalker


@dataclass(slots=True)
class TransformerModel(EventsModel):
    """Attributes, the decoder, and what turns tokens back into records."""

    sight: Sight | None = None
    clock_seen: NDArray[np.int64] | None = None  # real events of each hour and weekday, (24 + 7,)
    temperature: float = 1.0
    top_p: float = 1.0
    allowed: Allowed | None = None  # None: no condition

    def walker(self) -> Any:
        """What draws the events of units."""
        if self._walker is None:
            assert self.sight is not None
            trunk = Trunk.of(self.weights, self.seen.layout)
            self._walker = GptWalker(  # type: ignore[assignment]
                trunk, self.sight, self.base.coder.clock, self.support,
                self.allowed or Allowed.all(self.sight), self.temperature, self.top_p,
            )  # fmt: skip
        return self._walker

    def tempered(self, *, temperature: float = 1.0, top_p: float = 1.0) -> Self:
        """The same model under another temperature and nucleus.

        Raises:
            BadTasteError: The temperature is not from 0.1 to 10, or `top_p` not above 0 (SYN-740).
        """
        check_taste(temperature, top_p)
        return replace(self, temperature=temperature, top_p=top_p, _walker=None)

    def conditioned(self, condition: Condition) -> Self:
        from synth_spark.generators._gpt_prompts import prompted

        made: Self = prompted(self, condition)
        return made

    def state(self) -> dict[str, Any]:
        assert self.sight is not None
        trainee: Any = self.trainee
        return {
            **EventsModel.state(self),
            "sight": self.sight.state(),
            "clock_seen": self.clock_seen,
            "taste": [self.temperature, self.top_p],
            "blocks": [trainee.layers, trainee.heads],
            "shares": trainee.shares,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        base, sight = Base.from_state(state["base"]), Sight.from_state(state["sight"])
        clock = base.coder.clock
        width, head, dropout = state["net"]
        layers, heads = state["blocks"]
        trainee = GptTrainee(
            Schedule(batch_size=state["batch_size"]), sight.seen, clock, len(clock.jump_lo),
            width, head, dropout, sight, layers, heads, state["shares"],
        )  # fmt: skip
        return cls(
            base, sight.seen, trainee, Support.from_state(state["support"]), state["weights"],
            state["facts"], state["pace"], sight=sight, clock_seen=state["clock_seen"],
            temperature=state["taste"][0], top_p=state["taste"][1],
        )  # fmt: skip


class BadTasteError(PlanError):
    """A temperature or a nucleus that no token can be drawn by."""

    code = "SYN-740"


def check_taste(temperature: float, top_p: float) -> None:
    """Refuse a temperature outside 0.1 to 10 and a nucleus outside (0, 1]."""
    if not 0.1 <= temperature <= 10:
        raise BadTasteError(
            f"A temperature of {temperature:g} cannot be drawn under.",
            hint="1 for the records' own spread, 0.1 to 10",
            temperature=temperature,
        )
    if not 0 < top_p <= 1:
        raise BadTasteError(
            f"top_p is a share of the mass, not {top_p:g}.",
            hint="1 for all tokens, 0.9 without the rarest",
            top_p=top_p,
        )
