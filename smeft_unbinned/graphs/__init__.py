"""ONNX graphs of estimators and likelihoods, and bundles of both, for programs without Python."""

from .bundle import check_bundle_target, to_bundle
from .check import Differences, check_bundle
from .manifest import ESTIMATOR, EVENTS, LIKELIHOOD, MANIFEST

__all__ = [
    "ESTIMATOR",
    "EVENTS",
    "LIKELIHOOD",
    "MANIFEST",
    "Differences",
    "check_bundle",
    "check_bundle_target",
    "to_bundle",
]
