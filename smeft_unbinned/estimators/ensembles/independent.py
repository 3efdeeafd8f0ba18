"""Independent samples: the events are dealt out, and every member learns from its own share alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from .base import Ensemble


@dataclass(frozen=True)
class Independent(Ensemble):
    """replicas: number of members; each gets one part in so many of the events."""

    name = "independent"
    own_events = True

    def weights(self, groups: np.ndarray, members: Sequence[int], seed: int) -> np.ndarray:
        count = int(groups.max()) + 1
        if count < 2 * self.replicas:
            raise InputError(
                f"{count} events are too few to be dealt out to {self.replicas} members; take fewer replicas"
            )
        share = np.random.default_rng([seed, 2]).permutation(count)[groups] % self.replicas
        return np.asarray(share[:, None] == np.asarray(members)[None, :], dtype=float)
