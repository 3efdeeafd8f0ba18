"""Running of the coefficients from the scale of the fit to that of the dataset, with SMEFiT's own matrix."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from smeft_unbinned.errors import InputError, require

_log = logging.getLogger(__name__)


def evolution(
    rge_dict: dict[str, Any], names: Sequence[str], scale: Any, dataset: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return operators at the scale of the dataset and the matrix (n', n) that gives them from the card's.

    rge_dict: the `rge` block of the card, which SMEFiT reads with its own defaults. names: of the card.
    scale: of the dataset in GeV; `scale_variation` of the block multiplies it where `obs_scale` is dynamic.
    Raises InputError for a scale that is missing or no positive number.
    """
    if scale is None:
        raise InputError(
            f"the card asks for running coefficients, but unbinned dataset {dataset} has no scale; give "
            "the key scale (in GeV) in its external_chi2 entry, or export it with metadata['scale']"
        )
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < np.inf:
        raise InputError(f"unbinned dataset {dataset}: scale must be a positive number in GeV, got {scale!r}")
    rge = require("smefit.rge.rge", "smefit")
    factor = float(rge_dict.get("scale_variation", 1.0)) if rge_dict.get("obs_scale") == "dynamic" else 1.0
    block = {**rge_dict, "obs_scale": float(scale) * factor}
    _log.info("Unbinned dataset %s: coefficients run to %g GeV", dataset, block["obs_scale"])
    matrices, generated = rge.load_rge_matrix(block, sorted(names))
    order = [sorted(names).index(name) for name in names]
    return tuple(sorted(generated)), np.asarray(matrices, dtype=float)[0][:, order]
