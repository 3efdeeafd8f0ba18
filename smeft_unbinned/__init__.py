"""smeft_unbinned: unbinned, machine-learned measurements as dataset entries of global SMEFT fits.

simulated events -> `train` -> Estimator -> `export` -> UnbinnedDataset -> Likelihood -> `minimise`, `sample`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .datasets import Dataset, GaussianDataset, PoissonDataset, UnbinnedDataset, histogram, load_dataset
from .errors import InputError, require
from .events import Events
from .export import export
from .fit import FitResult, minimise, sample
from .likelihood import Likelihood
from .polynomial import Polynomial, QuadraticForm, SumOfSquares
from .runcard import Runcard
from .scores import score_histogram, scores
from .version import __version__

if TYPE_CHECKING:
    from .estimators import Estimator, TrainSettings, train

_NEED_TORCH = ("Estimator", "TrainSettings", "train")

__all__ = [
    "Dataset",
    "Estimator",
    "Events",
    "FitResult",
    "GaussianDataset",
    "InputError",
    "Likelihood",
    "PoissonDataset",
    "Polynomial",
    "QuadraticForm",
    "Runcard",
    "SumOfSquares",
    "TrainSettings",
    "UnbinnedDataset",
    "__version__",
    "export",
    "histogram",
    "load_dataset",
    "minimise",
    "sample",
    "score_histogram",
    "scores",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import the training side on first use, so that the fit side runs without torch."""
    if name in _NEED_TORCH:
        require("torch", "train")
        from . import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
