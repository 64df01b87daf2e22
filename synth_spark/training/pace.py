"""How fast the weights move, and how many steps fit into the minutes."""

from __future__ import annotations

import math

from synth_spark.core.ports import Schedule

CHECKS = 50  # how often in `max_minutes` the number of steps that fit is estimated
_SPARE = 0.97  # of the time that is left; the last check of the loss takes the rest


def rate(schedule: Schedule, step: int, total: int) -> float:
    """The learning rate of step `step` (from 0) of `total`: a linear warm-up, then half a cosine.

    Source: Loshchilov and Hutter, "SGDR", ICLR 2017, equation 5, without restarts.

    Example:
        >>> plan = Schedule(learning_rate=1.0, warmup_steps=2, final_rate=0.0)
        >>> [round(rate(plan, s, 12), 2) for s in (0, 1, 2, 7, 12)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    warm = min(schedule.warmup_steps, total // 5)  # a short run must not end in its warm-up
    if step < warm:
        return schedule.learning_rate * (step + 1) / warm
    share = min(1.0, (step - warm) / max(1, total - warm))
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return schedule.learning_rate * (schedule.final_rate + (1 - schedule.final_rate) * cosine)


def steps_that_fit(step: int, clock_s: float, limit_s: float) -> int:
    """Steps in all that the minutes allow at the pace so far.

    Example:
        >>> steps_that_fit(step=100, clock_s=10.0, limit_s=20.0)
        196
    """
    return step + int(_SPARE * (limit_s - clock_s) * step / clock_s)
