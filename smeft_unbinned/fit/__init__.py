"""Fits of a likelihood: minimisation and nested sampling, one result type; all networks of an ensemble."""

from .minuit import minimise
from .nested import sample
from .replicas import fit_replicas
from .result import FitResult

__all__ = ["FitResult", "fit_replicas", "minimise", "sample"]
