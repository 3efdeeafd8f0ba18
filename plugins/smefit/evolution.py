"""Running of the coefficients from the scale of the fit to that of the dataset, with SMEFiT's own matrix."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from smeft_unbinned.rge import Running

_log = logging.getLogger(__name__)
_REMEDY = "give the key scale (in GeV) in its external_chi2 entry, or export it with metadata['scale']"


def evolution(
    rge_dict: dict[str, Any], names: Sequence[str], scale: Any, dataset: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return operators at the scale of the dataset and the matrix (n', n) that gives them from the card's.

    rge_dict: the `rge` block of the card, which SMEFiT reads with its own defaults. names: of the card.
    scale: of the dataset in GeV; `scale_variation` of the block multiplies it where `obs_scale` is dynamic.
    Raises InputError for a scale that is missing or no positive number, and for a block that is wrong.
    """
    running = Running.parse(rge_dict, names)
    at = running.dataset_scale(scale, dataset, _REMEDY)
    _log.info("Dataset %s: coefficients run to %g GeV", dataset, at)
    for note in running.notes:
        _log.warning(note)
    return running.matrix(at)
