"""What every trained estimator says of itself, whatever its networks predict."""

from __future__ import annotations

from typing import Any

import numpy as np

from .features import Inputs


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
