"""Fits of a likelihood: minimisation and nested sampling, one result type."""

from .minuit import minimise
from .nested import sample
from .result import FitResult

__all__ = ["FitResult", "minimise", "sample"]
