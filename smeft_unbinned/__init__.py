"""smeft_unbinned: unbinned, machine-learned measurements as dataset entries of global SMEFT fits.

simulated events -> `train` -> Estimator -> `export` -> UnbinnedDataset -> Likelihood -> `minimise`, `sample`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .compress import compress
from .datasets import (
    Component,
    Dataset,
    GaussianDataset,
    PoissonDataset,
    UnbinnedDataset,
    histogram,
    load_dataset,
)
from .errors import InputError, NonPositiveRatio, require
from .events import Events
from .export import export
from .fit import FitResult, fit_replicas, minimise, sample
from .likelihood import Likelihood
from .lowrank import to_sum_of_squares
from .polynomial import Polynomial, QuadraticForm, SumOfSquares
from .runcard import Runcard
from .scores import score_histogram, scores
from .systematics import with_responses
from .version import __version__

if TYPE_CHECKING:
    from .estimators import Estimator, ResponseEstimator, TrainSettings, train, train_responses

_NEED_TORCH = ("Estimator", "ResponseEstimator", "TrainSettings", "train", "train_responses")

__all__ = [
    "Component",
    "Dataset",
    "Estimator",
    "Events",
    "FitResult",
    "GaussianDataset",
    "InputError",
    "Likelihood",
    "NonPositiveRatio",
    "PoissonDataset",
    "Polynomial",
    "QuadraticForm",
    "ResponseEstimator",
    "Runcard",
    "SumOfSquares",
    "TrainSettings",
    "UnbinnedDataset",
    "__version__",
    "compress",
    "export",
    "fit_replicas",
    "histogram",
    "load_dataset",
    "minimise",
    "sample",
    "score_histogram",
    "scores",
    "to_sum_of_squares",
    "train",
    "train_responses",
    "with_responses",
]


def __getattr__(name: str) -> Any:
    """Import the training side on first use, so that the fit side runs without torch."""
    if name in _NEED_TORCH:
        require("torch", "train")
        from . import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
