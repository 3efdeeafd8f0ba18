"""Backbone: what turns the features of an event into numbers, for all members of an ensemble at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..features import FeatureMap, Inputs

if TYPE_CHECKING:
    from ..ensembles import Ensemble
    from ..heads import Head
    from ..loop import Outcome, Problem, Report
    from ..losses import Loss

_CHUNK = 8192


class Backbone(ABC):
    """A family of functions; subclasses are frozen dataclasses whose fields are their options."""

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy")
    """What it is made with, versions of which are written into every model."""

    def inputs(self, frame: pd.DataFrame) -> Inputs:
        """Return the map from named features to inputs, fitted to the training events."""
        return FeatureMap.fit(frame)

    def restored(self, manifest: dict[str, Any]) -> Inputs:
        """Return the map of inputs that a saved estimator holds."""
        return FeatureMap.from_manifest(manifest)

    def refusal(self, loss: Loss, head: Head, ensemble: Ensemble) -> str:
        """Return why this backbone cannot be trained with these, or an empty string."""
        del loss, head, ensemble
        return ""

    @abstractmethod
    def fit(self, problem: Problem, report: Report) -> Outcome:
        """Train all members."""

    @abstractmethod
    def predict(self, parameters: Sequence[np.ndarray], inputs: np.ndarray, outputs: int) -> np.ndarray:
        """Return outputs (M, N, K) for inputs (N, ...) and stored parameters, (M, ...) each."""


class Network(Backbone):
    """A backbone that gradient descent trains; it needs starting values and a forward pass."""

    @abstractmethod
    def initialise(
        self, inputs: tuple[int, ...], outputs: int, generators: Sequence[torch.Generator]
    ) -> list[Tensor]:
        """Return random parameters, (M, ...) each, member m drawn from generator m alone."""

    @abstractmethod
    def forward(self, parameters: Sequence[Tensor], x: Tensor, outputs: int) -> Tensor:
        """Return outputs (M, B, K) for inputs (B, ...) shared by the members, or their own (M, B, ...)."""

    def fit(self, problem: Problem, report: Report) -> Outcome:
        from ..loop import run

        return run(self, problem, report)

    def predict(self, parameters: Sequence[np.ndarray], inputs: np.ndarray, outputs: int) -> np.ndarray:
        tensors = [torch.as_tensor(p) for p in parameters]
        parts = []
        for start in range(0, len(inputs), _CHUNK):
            x = torch.as_tensor(inputs[start : start + _CHUNK], dtype=torch.float32)
            with torch.no_grad():
                parts.append(self.forward(tensors, x, outputs).numpy().astype(float))
        return np.concatenate(parts, axis=1)
