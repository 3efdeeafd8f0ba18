"""Coefficients of exported datasets in those of a runcard, where running or a rotation lies between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .datasets.rotation import Rotation

if TYPE_CHECKING:
    from .rge import Running

_REMEDY = "give the key scale (in GeV) in its entry, or export it with metadata['scale']"


def scale_of(dataset: Any) -> float | None:
    """Return the scale of an exported dataset in GeV, None where it has none."""
    scale = getattr(dataset, "metadata", {}).get("scale")
    return None if scale is None else float(scale)


def mapped(dataset: Any, rotation: Rotation | None, running: Running | None) -> dict[str, dict[str, float]]:
    """Return the coefficients of a dataset as {operator: {coefficient of the card: factor}}.

    As for binned data, the rotation leads from the coefficients of the dataset to others, and the running
    from the values of these at the scale of the dataset to those of the card. Operators that none of the
    card's coefficients moves are left out, and the notes of the dataset say so.
    Raises InputError for a dataset without a scale where coefficients run.
    """
    names: tuple[str, ...] = dataset.operators
    matrix, place = np.eye(len(names)), ""
    if rotation is not None:
        matrix, names = rotation.rows(names), rotation.fit
    if running is not None:
        scale = running.dataset_scale(scale_of(dataset), dataset.name, _REMEDY)
        generated, values = running.matrix(scale)
        rows = {name: values[i] for i, name in enumerate(generated)}
        nothing = np.zeros(len(running.operators))
        matrix, names = matrix @ np.array([rows.get(n, nothing) for n in names]), running.operators
        place = f" at {scale:g} GeV"
    result = {
        operator: {name: float(x) for name, x in zip(names, row, strict=True) if x}
        for operator, row in zip(dataset.operators, matrix, strict=True)
        if np.any(row)
    }
    if absent := [o for o in dataset.operators if o not in result]:
        note = f"{', '.join(absent)} set to zero, the coefficients of the card do not move it{place}"
        dataset.metadata["notes"] = [*dataset.metadata.get("notes", ()), note]
    return result
