"""Datasets: the terms of a likelihood, binned and unbinned."""

from .files import load_dataset
from .gaussian import GaussianDataset
from .poisson import PoissonDataset, histogram
from .protocol import Dataset
from .rates import Component
from .unbinned import UnbinnedDataset

__all__ = [
    "Component",
    "Dataset",
    "GaussianDataset",
    "PoissonDataset",
    "UnbinnedDataset",
    "histogram",
    "load_dataset",
]
