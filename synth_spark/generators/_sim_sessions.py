"""Sessions: each event that has arrived becomes several, some at once, some a while later.

Barford and Crovella, SIGMETRICS 1998, section 2: a session has pages, a page has requests; the
gaps between pages are lognormal, all requests of a page come within a second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth_spark.generators._sim_draft import Draft

WITHIN_S = 0.9  # all requests of a page


def as_sessions(draft: Draft) -> None:
    """Spread each event to the pages and requests of a session."""
    p, rng = draft.facts.params, draft.rng("sessions")
    pages = rng.geometric(1.0 / max(p.pages, 1.0), len(draft.owner))
    gaps = p.page_median_s * np.exp(p.page_sigma * rng.standard_normal(int(pages.sum())))
    _spread(draft, pages, _running(gaps, pages))
    requests = rng.geometric(1.0 / max(p.requests, 1.0), len(draft.owner))
    later = WITHIN_S * rng.random(int(requests.sum()))
    later[np.cumsum(requests) - requests] = 0.0
    _spread(draft, requests, later)


def _running(gaps: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums of the gaps within each run, the first of a run at 0."""
    starts = np.cumsum(counts) - counts
    gaps[starts] = 0.0
    sums = np.cumsum(gaps)
    return np.asarray(sums - np.repeat(sums[starts], counts))


def _spread(draft: Draft, counts: NDArray[np.int64], later: NDArray[np.float64]) -> None:
    """Each event becomes several, so much later."""
    draft.take(np.repeat(np.arange(len(counts)), counts))
    draft.t = draft.t + later
