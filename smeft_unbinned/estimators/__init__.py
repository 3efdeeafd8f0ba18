"""Estimators of ratio coefficients: features -> Polynomial, learned from simulated events. Needs torch.

A method is a choice on four axes, each a folder with one file per entry: `backbones` (the network), `heads`
(how r depends on c), `losses` and `ensembles`; `settings.TrainSettings` holds the choice.
"""

from .estimator import Estimator
from .responses import ResponseEstimator, train_responses
from .settings import TrainSettings
from .train import train

__all__ = ["Estimator", "ResponseEstimator", "TrainSettings", "train", "train_responses"]
