"""What every trained estimator says of itself, whatever its networks predict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .features import Inputs

FAR, NARROW = 4.0, 0.02
"""Distance of a mean, in standard deviations of the training, and spread over that of the training, which
another unit makes and hardly any selection."""
FEW = 20
"""Events below which nothing is said of them."""


class Described:
    """Base of the estimators, which hold their networks as the fields of a dataclass."""

    inputs: Inputs
    calibration: np.ndarray
    metadata: dict[str, Any]

    @property
    def members(self) -> int:
        """Number of networks in the ensemble."""
        return len(self.calibration)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that a prediction needs."""
        return self.inputs.names

    @property
    def notes(self) -> list[str]:
        """What the user should know: a calibration that could not be done, and the like."""
        return list(self.metadata.get("notes", []))

    def unfamiliar(self, features: pd.DataFrame) -> list[str]:
        """Return a note where events (N, F) are nothing like those of the training: other units, say."""
        if len(features) < FEW:
            return []
        inputs = self.inputs.summary(features)  # mean 0 and spread 1 in the training
        far, narrow = float(np.abs(inputs.mean(axis=0)).max()), float(inputs.std(axis=0).min())
        if far <= FAR and narrow >= NARROW:
            return []
        return [
            f"the features ({', '.join(self.features)}) are unlike those of the training: a mean is "
            f"{far:.1f} standard deviations away, the smallest spread {narrow:.2g} of that in training; "
            "check definitions and units (GeV)"
        ]
