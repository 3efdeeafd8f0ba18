"""Bootstrap replicas: every member gives each event a Poisson weight of mean one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .base import Ensemble


@dataclass(frozen=True)
class Bootstrap(Ensemble):
    """replicas: number of members; a single one sees every event once."""

    name = "bootstrap"

    def weights(self, groups: np.ndarray, members: Sequence[int], seed: int) -> np.ndarray:
        if self.replicas == 1:
            return np.ones((len(groups), 1))
        count = int(groups.max()) + 1
        columns = [np.random.default_rng([seed, m, 1]).poisson(1.0, count)[groups] for m in members]
        return np.stack(columns, axis=1).astype(float)
