"""Files of the running: matrices by scale, with the settings and the names that they belong to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import storage
from .errors import InputError
from .inputfile import fitting
from .rg_matrix import Matrix
from .rge_parse import positive

KIND = "running"
"""The kind of these files."""


def write_matrices(
    path: str | os.PathLike[str], matrices: Mapping[float, Matrix], manifest: Mapping[str, Any]
) -> None:
    """Write matrices by scale (GeV) and what else belongs to them, of JSON types, atomically."""
    scales = sorted(matrices)
    arrays = {str(i): matrices[scale].values for i, scale in enumerate(scales)}
    table = [
        {"scale": s, "generated": list(matrices[s].generated), "names": list(matrices[s].names)}
        for s in scales
    ]
    storage.write(path, KIND, arrays, {**manifest, "matrices": table})


def read_matrices(path: str | os.PathLike[str]) -> tuple[dict[float, Matrix], dict[str, Any]]:
    """Return matrices by scale (GeV) and the manifest; raise InputError for a file that is not whole."""
    arrays, manifest = storage.read(path, KIND)
    result = {}
    with fitting(path, KIND):
        for i, entry in enumerate(manifest["matrices"]):
            matrix = Matrix(tuple(entry["generated"]), tuple(entry["names"]), arrays[str(i)])
            if matrix.values.shape != (len(matrix.generated), len(matrix.names)):
                raise InputError(
                    f"{path} does not hold matrices of the running: a matrix of shape {matrix.values.shape}; "
                    "make it anew"
                )
            scale = positive(entry["scale"], "the scale of a matrix")
            if not np.all(np.isfinite(matrix.values)):
                raise ValueError(f"a matrix at {scale:g} GeV with numbers that are not finite")
            result[scale] = matrix
    return result, manifest
