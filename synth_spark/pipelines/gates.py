"""Gates: limits that a plan sets on scores; a run that misses one ends with exit code 3."""

from __future__ import annotations

from collections.abc import Sequence

from synth_spark.config import Gate
from synth_spark.core.shelf import METRICS
from synth_spark.errors import SynthError
from synth_spark.metrics.base import Evaluation

HEADLINES = ("accuracy",)  # scores that are means of several metrics


class UnknownGateError(SynthError):
    """A gate names a metric that there is not."""

    code = "SYN-134"


def check_gates(gates: Sequence[Gate]) -> None:
    """Refuse a gate on a metric that nobody computes, before the run starts.

    Raises:
        UnknownGateError: No such metric (SYN-134).
    """
    known = sorted({*METRICS.names(), *HEADLINES})
    for gate in gates:
        if gate.metric not in known:
            raise UnknownGateError(
                f"A gate names the metric {gate.metric!r}.",
                hint=f"one of {', '.join(known)}",
                metric=gate.metric,
            )


def missed(evaluation: Evaluation, gates: Sequence[Gate]) -> tuple[str, ...]:
    """The gates that were not passed, one sentence each; what was not scored does not pass."""
    found = (_missed(evaluation, gate) for gate in gates)
    return tuple(sentence for sentence in found if sentence)


def _missed(evaluation: Evaluation, gate: Gate) -> str:
    name = gate.metric if gate.item == "all" else f"{gate.metric} of {gate.item}"
    line = evaluation.line(gate.metric, gate.item)
    if line is None or line.value is None:
        return f"{name} was not scored" + (f": {line.why}" if line and line.why else "") + "."
    value = line.value
    if gate.against == "floor":
        if line.floor is None:
            return f"{name} has no floor to be held against."
        value -= line.floor
    shown = f"{name}{' minus its floor' if gate.against == 'floor' else ''} is {value:.4g}"
    if gate.at_least is not None and value < gate.at_least:
        return f"{shown}, which is below {gate.at_least:g}."
    if gate.at_most is not None and value > gate.at_most:
        return f"{shown}, which is above {gate.at_most:g}."
    return ""
