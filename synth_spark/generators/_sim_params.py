"""The settings of the simulation, each with its default, its unit and where the default is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth_spark.config.scenarios import Scenario, scenarios_from
from synth_spark.errors import PlanError

HOURS_OF_WEEK = 168
#     hour of the day 0 ........................................................... 23
WORKDAY = np.array(
    [2, 1, 1, 1, 1, 2, 5, 9, 12, 13, 13, 14, 15, 13, 12, 13, 14, 17, 19, 18, 15, 11, 7, 4], float
)
FREEDAY = np.array(
    [4, 3, 2, 1, 1, 1, 2, 3, 6, 9, 11, 12, 12, 11, 11, 11, 12, 13, 15, 15, 14, 12, 9, 6], float
)
WEEK = (1.0, 1.0, 1.02, 1.05, 1.2, 0.95, 0.75)  # Monday to Sunday


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationParams:
    """Settings of the simulation. What records tell is fitted; these stand where there are none."""

    min_subjects: int = 5  # labels, places and moments held by fewer subjects are not told
    block_size: int = 1_024  # subjects drawn together; contacts that are subjects are among them
    start: str = "2026-01-05"  # first day, local clock (a Monday)
    days: int = 28  # length of the simulated time
    keep: tuple[str, ...] = ()  # settings that are not fitted, though there are records
    # when: a two-state Markov-modulated Poisson process
    events_a_day: float = 8.0  # mean over subjects
    active_days: float = 0.0  # in which a subject is seen, on end; 0: the whole time
    rate_sigma: float = 0.8  # standard deviation of the log of a subject's rate
    busy_share: float = 0.25  # of the time
    burst_ratio: float = 8.0  # rate in busy over rate in quiet times
    busy_h: float = 1.5  # mean length of a busy time, hours
    # with whom: Saramäki et al., "Persistence of social signatures in human communication", PNAS
    # 111, 2014, figure 1 (shares by rank); Onnela et al., "Structure and tie strengths in mobile
    # communication networks", PNAS 104, 2007, figure 1 (strong ties inside communities)
    contacts: float = 24.0  # mean number
    contacts_sigma: float = 0.6  # standard deviation of its log
    contacts_inside: float = 0.35  # share of the contacts that are subjects themselves
    tie_exponent: float = (
        0.9  # share of the calls to rank r: r ** -tie_exponent * exp(-r / tie_cut)
    )
    tie_cut: float = 30.0  # ranks
    community: int = 32  # subjects of one community
    community_share: float = 0.75  # of the inside ties that lie in one's community
    reply_share: float = 0.25  # of calls and texts, answered by one the other way
    reply_median_s: float = 150.0
    reply_sigma: float = 1.1  # of the log
    # calls and sessions
    call_median_s: float = 110.0  # to the strongest tie
    call_sigma: float = 1.1  # of the log
    call_tie_slope: float = -0.25  # of the log of the duration by log(1 + rank)
    missed_share: float = 0.12  # of calls
    session_median_s: float = 240.0
    session_sigma: float = 1.0  # of the log
    down_median_bytes: float = 540_000.0
    down_sigma: float = 1.7  # of the log
    up_share: float = 0.12  # median of uplink over downlink
    taste: float = 4.0  # how alike subjects are in their types of events (Dirichlet, in events)
    # where: exploration and preferential return
    cells: int = 120  # of a made town
    cells_file: str = ""  # a table with cell_id, latitude, longitude instead of a made town
    town_km: float = 12.0  # radius of the made town
    latitude: float = 14.7  # of its middle, degrees
    longitude: float = -17.4  # of its middle, degrees
    explore: float = 0.6  # rho of Song et al. 2010
    explore_fading: float = 0.21  # gamma of Song et al. 2010
    jump_exponent: float = 1.75  # beta of González et al. 2008
    jump_low_km: float = 0.5
    jump_cut_km: float = 20.0  # where the tail of the jumps is cut off
    stay_low_h: float = 0.5  # shortest stay
    stay_exponent: float = 1.8  # of the stays' lengths (1 + beta of Song et al. 2010)
    stay_cut_h: float = 17.0  # where the tail of the stays is cut off (Song et al. 2010)
    home_pull: float = 0.85  # of stays that begin at night, at home
    work_pull: float = 0.7  # of stays that begin in working hours, at work
    working_share: float = 0.65  # of the subjects who have a place of work
    # browsing
    hosts: int = 400  # of a made web
    host_exponent: float = 1.0  # Zipf: Breslau et al., INFOCOM 1999, section III
    host_taste: float = 12.0  # new hosts go on with this weight, in requests
    pages: float = 6.0  # mean of a session
    requests: float = 3.0  # mean of a page, within a second
    page_median_s: float = 20.0  # between pages
    page_sigma: float = 1.2  # of the log
    # network
    load_peak: float = 0.75  # mean load of a cell in its busiest hour
    fault_per_day: float = 0.4  # alarms of an element a day at half load
    # columns that no rule makes: column -> label -> weight
    shares: dict[str, dict[str, float]] = field(default_factory=dict)
    # a month's price, minutes, texts and MB in it, then prices of a minute, text and MB beyond
    tariffs: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {
            "S": (4.99, 120, 50, 2_000, 0.04, 0.03, 0.003),
            "M": (9.99, 300, 200, 8_000, 0.03, 0.02, 0.002),
            "L": (19.99, 1_000, 1_000, 30_000, 0.02, 0.01, 0.001),
            "unlimited": (39.99, 1e9, 1e9, 1e9, 0.0, 0.0, 0.0),
        }
    )
    churn_a_month: float = 0.03  # hazard of a new postpaid subscriber
    scenarios: tuple[
        dict[str, Any], ...
    ] = ()  # files (in plans) or mappings: docs/ref-scenarios.md
    label: str = "scenario"  # the column that says which scenario an event or subject belongs to

    def __post_init__(self) -> None:
        positive = (
            "min_subjects", "block_size", "days", "events_a_day", "burst_ratio", "busy_h",
            "contacts", "tie_cut", "community", "cells", "town_km", "hosts", "jump_low_km",
            "jump_cut_km", "stay_low_h", "stay_cut_h", "pages", "requests", "taste", "host_taste",
            "call_median_s", "session_median_s", "down_median_bytes", "page_median_s",
            "reply_median_s", "up_share",
        )  # fmt: skip
        shares = (
            "contacts_inside", "community_share", "reply_share", "missed_share", "home_pull",
            "work_pull", "working_share", "load_peak", "churn_a_month",
        )  # fmt: skip
        for name in positive:
            _need(name, getattr(self, name) > 0, "above 0")
        for name in shares:
            _need(name, 0 <= getattr(self, name) <= 1, "between 0 and 1")
        _need("busy_share", 0 < self.busy_share < 1, "between 0 and 1")
        _need("jump_exponent", self.jump_exponent > 1, "above 1")
        _need("stay_exponent", self.stay_exponent > 1, "above 1")
        _need("days", self.days <= 3_660, "at most 3,660")
        _need("block_size", 8 <= self.block_size <= 65_536, "from 8 to 65,536")
        try:
            np.datetime64(self.start, "D")
        except ValueError:
            _need("start", False, "a day such as 2026-01-05")
        for plan, prices in self.tariffs.items():
            _need(f"tariffs.{plan}", len(prices) == 7, "seven numbers")
        for column, weights in self.shares.items():
            values = list(weights.values())
            good = bool(values) and min(values) >= 0 and sum(values) > 0
            _need(f"shares.{column}", good, "labels with weights of 0 or more")
        self.told()

    def told(self) -> tuple[Scenario, ...]:
        """The scenarios as typed models.

        Raises:
            ScenarioError: One is refused (SYN-761).
        """
        return scenarios_from(self.scenarios)


def _need(name: str, holds: bool, what: str) -> None:
    if not holds:
        raise PlanError(f"generator.params.{name} must be {what}.", path=name)


def default_rhythm() -> NDArray[np.float64]:
    """Intensity by hour of the week from Monday 0 h, mean 1; shape (168,)."""
    days = [FREEDAY if d >= 5 else WORKDAY for d in range(7)]
    week = np.concatenate([d / d.mean() * w for d, w in zip(days, WEEK, strict=True)])
    return np.asarray(week / week.mean())


def weights_of(shares: Mapping[str, float]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Labels and their shares, summing to 1."""
    values = np.array(list(shares.values()), float)
    return tuple(shares), values / values.sum()
