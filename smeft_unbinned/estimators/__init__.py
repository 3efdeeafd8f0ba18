"""Estimators of ratio coefficients: features -> Polynomial, learned from simulated events. Needs torch."""

from .estimator import Estimator
from .settings import TrainSettings
from .train import train

__all__ = ["Estimator", "TrainSettings", "train"]
