"""The prior of the codes, fitted after the training: a mixture of Gaussians.

The codes of the records do not fill the standard normal that the divergence pulls them to; drawing
z from where they lie is "ex-post density estimation": Ghosh et al., "From Variational to
Deterministic Autoencoders", ICLR 2020, section 4. The mixture is fitted on draws from the
posteriors, not on their means, so that what is drawn has the spread that the decoder was trained
under.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
_RIDGE = 1e-4  # added to every variance


@dataclass(frozen=True, slots=True)
class Prior:
    """Gaussians with full covariances."""

    upper: NDArray[np.float64]  # (k,) cumulative shares, last entry 1
    means: Array  # (k, latent)
    factors: Array  # (k, latent, latent), lower triangular: covariance = factor @ factor.T

    def draw(self, rows: int, rng: np.random.Generator) -> Array:
        """Codes, shape (rows, latent)."""
        which = np.searchsorted(self.upper, rng.random(rows), side="right")
        noise = rng.standard_normal((rows, self.means.shape[1]), dtype=np.float32)
        order = np.argsort(which, kind="stable")
        ends = np.searchsorted(which[order], np.arange(len(self.upper) + 1))
        out = np.empty_like(noise)
        for k, factor in enumerate(self.factors):
            some = order[ends[k] : ends[k + 1]]
            out[some] = noise[some] @ factor.T + self.means[k]
        return out

    @classmethod
    def fit(cls, codes: Array, gaussians: int, least: float, seed: int) -> Self:
        """The mixture of some codes.

        Args:
            codes: (codes, latent).
            gaussians: So many.
            least: A Gaussian with a smaller share of the rows is left out.
            seed: Of the first guess.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture
        from threadpoolctl import (  # type: ignore[import-untyped, unused-ignore]
            threadpool_limits,
        )

        mixture = GaussianMixture(
            gaussians,
            reg_covar=_RIDGE,
            max_iter=100,
            random_state=seed % 2**32,
            init_params="kmeans",
        )
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(codes.astype(np.float64))
        kept = np.flatnonzero(mixture.weights_ >= least)
        kept = kept if len(kept) else np.array([int(mixture.weights_.argmax())])
        upper = np.cumsum(mixture.weights_[kept]) / mixture.weights_[kept].sum()
        upper[-1] = 1.0
        factors = np.linalg.cholesky(mixture.covariances_[kept])
        return cls(upper, mixture.means_[kept].astype(np.float32), factors.astype(np.float32))

    def state(self) -> dict[str, Any]:
        """A tree for the wire."""
        return {"upper": self.upper, "means": self.means, "factors": self.factors}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The prior that `state` came from."""
        return cls(**state)
