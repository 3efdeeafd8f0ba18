"""Seeds: all members see all events and differ in their starting values alone.

Their spread is the noise of the optimisation, not that of the sample. Under cross-entropy, where a bootstrap
costs accuracy, this is the better ensemble.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .base import Ensemble


@dataclass(frozen=True)
class Seeds(Ensemble):
    """replicas: number of members."""

    name = "seeds"

    def weights(self, groups: np.ndarray, members: Sequence[int], seed: int) -> np.ndarray:
        del seed
        return np.ones((len(groups), len(members)))
