"""Moments of aggregates become settings: bursts, lengths, ties, places and sessions.

Few events or subjects behind a moment leave the setting as it was stated.
"""

from __future__ import annotations

import numpy as np

from synth_spark.generators._sim_cdr import CALL, DATA, roles_of
from synth_spark.generators._sim_counts import Ask
from synth_spark.generators._sim_params import SimulationParams
from synth_spark.generators._sim_spans import State

LEAST_EVENTS = 20  # behind a fitted moment


def bursts(sums: State, params: SimulationParams) -> dict[str, float]:
    """The ratio of busy to quiet rates from the gaps' squared coefficient of variation."""
    count, total, squares = sums["gaps"]
    if count < LEAST_EVENTS or total <= 0:
        return {}
    spread = squares * count / total**2 - 1.0
    busy, quiet = params.busy_share, 1.0 - params.busy_share
    both = ((spread + 1.0) / 2.0 - busy**2 - quiet**2) / (busy * quiet)
    ratio = (both + max(both**2 - 4.0, 0.0) ** 0.5) / 2.0
    return {"burst_ratio": float(np.clip(ratio, 1.0, 100.0))}


def call_moments(sums: State, ask: Ask, params: SimulationParams) -> dict[str, float]:
    """Medians and log deviations of calls, sessions and volumes; the share of missed calls."""
    roles = np.append(roles_of(ask.groups), CALL) if ask.main == "event_type" else np.array([CALL])
    found: dict[str, float] = {}
    named = (
        ("duration_s", CALL, "call_median_s", "call_sigma"),
        ("duration_s", DATA, "session_median_s", "session_sigma"),
        ("downlink_bytes", DATA, "down_median_bytes", "down_sigma"),
    )
    for column, role, median, sigma in named:
        table = sums.get(f"logs/{column}")
        if table is None:
            continue
        size = min(len(roles), table.shape[1])
        there, good, logs, squares, subjects = table[:, :size][:, roles[:size] == role].sum(axis=1)
        if good < LEAST_EVENTS or subjects < params.min_subjects:
            continue
        mean = logs / good
        found[median] = float(np.exp(mean))
        found[sigma] = float(max(squares / good - mean**2, 1e-6) ** 0.5)
        if median == "call_median_s":
            found["missed_share"] = float(1.0 - good / there)
            strong = -params.call_tie_slope * np.log(4.0)  # the mean tie is weaker than the first
            found[median] *= float(np.exp(strong))
    up, down = (sums.get(f"logs/{n}_bytes") for n in ("uplink", "downlink"))
    if up is not None and down is not None and min(up[1].sum(), down[1].sum()) >= LEAST_EVENTS:
        means = [float(t[2].sum() / t[1].sum()) for t in (up, down)]
        found["up_share"] = float(np.exp(means[0] - means[1]))
    return found


def tie_moments(sums: State, params: SimulationParams) -> dict[str, float]:
    """Number of contacts, how unequal they are, and how often events are answered."""
    found: dict[str, float] = {}
    contacts, ranks = sums.get("contacts"), sums.get("ranks")
    if contacts is not None and contacts[0] >= params.min_subjects:
        mean = contacts[2] / contacts[0]
        found["contacts"] = max(contacts[1] / contacts[0], 1.0)
        found["contacts_sigma"] = max(contacts[3] / contacts[0] - mean**2, 1e-6) ** 0.5
        found["contacts_sigma"] = min(found["contacts_sigma"], 2.0)
    if ranks is not None and ranks[0] >= LEAST_EVENTS:
        good = ranks >= LEAST_EVENTS
        rank = np.arange(1, len(ranks) + 1)[good]
        if len(rank) > 3:  # log share = c - exponent log r - r / cut, weighted least squares
            design = np.stack([np.ones(len(rank)), -np.log(rank), -rank], axis=1)
            weight = np.sqrt(ranks[good])[:, None]
            fit = np.linalg.lstsq(design * weight, np.log(ranks[good]) * weight[:, 0], rcond=None)[
                0
            ]
            found["tie_exponent"] = float(np.clip(fit[1], 0.0, 3.0))
            found["tie_cut"] = float(np.clip(1.0 / max(fit[2], 1e-3), 2.0, 1_000.0))
    answers = sums.get("answers")
    if answers is not None and answers[1] >= LEAST_EVENTS:
        mean = answers[2] / answers[1]
        share = answers[1] / max(answers[0] - answers[1], 1.0)
        found["reply_share"] = float(np.clip(share, 0.0, 0.9))
        found["reply_median_s"] = float(np.exp(mean))
        found["reply_sigma"] = float(max(answers[3] / answers[1] - mean**2, 1e-6) ** 0.5)
    return found


def exploring(sums: State, params: SimulationParams) -> dict[str, float]:
    """Rho from the mean number of places among the mean number of visits."""
    subjects, places, _ = sums["cells"]
    if subjects < params.min_subjects:
        return {}
    visits = max(sums["visits"][1] / max(sums["visits"][0], 1.0), 1.0)
    power = 1.0 + params.explore_fading
    rho = (places / subjects) ** power / (power * visits)
    return {"explore": float(np.clip(rho, 0.01, 1.0))}


def sessions(sums: State, params: SimulationParams) -> dict[str, float]:
    """Requests of a page and pages of a session from the shares of short gaps."""
    gaps, bursts, inside, logs, squares, subjects = sums["pages"]
    if gaps < LEAST_EVENTS or subjects < params.min_subjects:
        return {}
    rows = gaps + subjects
    pages = max(rows - bursts, 1.0)
    found = {"requests": rows / pages, "pages": pages / max(pages - inside, 1.0)}
    if inside >= LEAST_EVENTS:
        mean = logs / inside
        found["page_median_s"] = float(np.exp(mean))
        found["page_sigma"] = float(max(squares / inside - mean**2, 1e-6) ** 0.5)
    return found
