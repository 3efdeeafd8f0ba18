"""Files of datasets, whichever kind they hold."""

from __future__ import annotations

import json
import os

from safetensors import SafetensorError, safe_open

from .poisson import KIND, PoissonDataset
from .unbinned import UnbinnedDataset


def load_dataset(path: str | os.PathLike[str]) -> UnbinnedDataset | PoissonDataset:
    """Read an unbinned or a Poisson dataset; raise InputError for any other file."""
    return PoissonDataset.load(path) if _kind(path) == KIND else UnbinnedDataset.load(path)


def _kind(path: str | os.PathLike[str]) -> object:
    """Return the kind that the header of a file names; None where it has none, which loading then tells."""
    try:
        with safe_open(path, framework="numpy") as stream:
            return json.loads(stream.metadata()["manifest"])["kind"]
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None
