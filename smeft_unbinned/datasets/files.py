"""Files of datasets, whichever kind they hold."""

from __future__ import annotations

import os

from .. import storage
from .poisson import KIND, PoissonDataset
from .unbinned import UnbinnedDataset


def load_dataset(path: str | os.PathLike[str]) -> UnbinnedDataset | PoissonDataset:
    """Read an unbinned or a Poisson dataset; raise InputError for any other file."""
    return PoissonDataset.load(path) if storage.kind(path) == KIND else UnbinnedDataset.load(path)
