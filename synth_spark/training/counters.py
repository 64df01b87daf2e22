"""Where a run stands: all that it decides by, and that a checkpoint must hold."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Where a run stands; plain numbers, so that a checkpoint holds it as JSON."""

    total_steps: int
    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    nats: float = 0.0  # summed over this epoch's examples so far
    seen: float = 0.0  # this epoch's examples so far
    clock_s: float = 0.0  # rank 0's, over all restarts
    epoch_began_s: float = 0.0
    next_check_s: float = 0.0
    best_nats: float | None = None
    best_epoch: int = 0
    since_best: int = 0
    cut: bool = False  # the minutes, not the epochs, set the number of steps
    stopped: str = ""
    curve: list[dict[str, float]] = field(default_factory=list)
