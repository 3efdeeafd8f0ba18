"""Ensemble: how the members differ, so that their spread says how far the training can be trusted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from ..registry import check_count


@dataclass(frozen=True)
class Ensemble(ABC):
    """replicas: number of members M."""

    replicas: int = 10

    name: ClassVar[str]
    coupled: ClassVar[bool] = False
    """Whether the members see each other in training, so that they cannot be trained apart."""
    own_events: ClassVar[bool] = False
    """Whether every member has events of its own, and so minibatches of its own."""

    def __post_init__(self) -> None:
        check_count("replicas", self.replicas)

    @abstractmethod
    def weights(self, groups: np.ndarray, members: Sequence[int], seed: int) -> np.ndarray:
        """Return what each member gives to each event, (N, M).

        groups: (N,) whole numbers from 0; events of one group are copies of one, to be kept together.
        members: which of the ensemble are wanted. A member's column depends on its number and the seed alone.
        """

    def repulsion(self, outputs: Tensor, losses: Tensor, events: int) -> Tensor | None:
        """Return what is added to the loss of each member, (M,), or None.

        outputs: (M, B, K) on a batch. losses: (M,) there. events: N in the training.
        """
        del outputs, losses, events
        return None
