"""The operations of `transform`, their order, and what a chain of them must hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from synth_spark.core.schema import Shape
from synth_spark.errors import SynthError

OPERATIONS: Mapping[str, str] = {
    "bootstrap": "donors are drawn with replacement",
    "copula": "rows are drawn from marginals and a Gaussian copula; no donor is kept",
    "microaggregate": "donors in groups of at least `group`: means and modes, or strata of events",
    "swap": "each value is exchanged for that of a donor in the same stratum",
    "rank_swap": "numbers are exchanged with a near rank among records of the same categories",
    "noise": "numbers get noise, categories are redrawn with a chance",
    "mix": "a history is put together from segments of several donors of a stratum",
    "shift": "a history moves by whole weeks",
    "jitter": "times, gaps and places move a little",
}
DEFAULT: Mapping[Shape, tuple[str, ...]] = {
    "flat": ("bootstrap", "swap", "jitter"),
    "events": ("microaggregate", "mix", "swap", "shift", "jitter"),
}
FITTING: Mapping[Shape, frozenset[str]] = {
    "flat": frozenset(OPERATIONS) - {"mix", "shift"},
    "events": frozenset({"microaggregate", "mix", "swap", "shift", "jitter"}),
}
# of a flat table, each keeps a drawn row from being a donor's
_HIDING = ("copula", "microaggregate", "swap", "rank_swap", "noise")


class UnknownOperationError(SynthError):
    """A chain names an operation that does not exist."""

    code = "SYN-770"


class RevealingChainError(SynthError):
    """A chain would hand out donors as they are, or contradicts itself."""

    code = "SYN-771"


def check_names(chain: Sequence[str]) -> None:
    """Refuse unknown and repeated operations, and two sources.

    Raises:
        UnknownOperationError: No such operation (SYN-770).
        RevealingChainError: One is named twice, or both `bootstrap` and `copula` are (SYN-771).
    """
    for name in chain:
        if name not in OPERATIONS:
            near = get_close_matches(name, OPERATIONS, n=1)
            raise UnknownOperationError(
                f"{name!r} is no operation of transform.",
                hint=f"{near[0]!r}?" if near else f"one of {', '.join(OPERATIONS)}",
                operation=name,
            )
    twice = sorted({n for n in chain if chain.count(n) > 1})
    if twice:
        raise RevealingChainError(
            f"The chain names {twice[0]} twice.",
            hint="each operation once; `sweeps` repeats swap",
            operation=twice[0],
        )
    if {"bootstrap", "copula"} <= set(chain):
        raise RevealingChainError(
            "The chain draws rows twice, by bootstrap and by copula.",
            hint="one of the two",
            operation="copula",
        )


def chain_for(shape: Shape, chain: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The operations to carry out, and those left out with the reason.

    An empty chain is the default one of the shape.

    Raises:
        RevealingChainError: Nothing in it keeps a drawn record from being a donor's (SYN-771).
    """
    wanted = tuple(chain) or DEFAULT[shape]
    other = "events" if shape == "flat" else "flat tables"
    idle = {n: f"works on {other} only" for n in wanted if n not in FITTING[shape]}
    kept = tuple(n for n in wanted if n not in idle)
    hiding = _HIDING if shape == "flat" else ("mix",)
    if not set(hiding) & set(kept):
        raise RevealingChainError(
            f"The chain {', '.join(wanted)} would hand out donors' "
            + ("rows as they are." if shape == "flat" else "histories whole."),
            hint=f"add {'one of ' if len(hiding) > 1 else ''}{', '.join(hiding)}",
            chain=list(wanted),
        )
    return kept, idle
