"""Running of the coefficients from the scale of the fit to that of the dataset, with SMEFiT's own matrix."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from smeft_unbinned.fitters.term import Evolve
from smeft_unbinned.rge import Running

_log = logging.getLogger(__name__)


def evolution(rge_dict: dict[str, Any], names: Sequence[str], dataset: str) -> Evolve:
    """Return the function that runs coefficients to the scale of a dataset in GeV, for `Term`.

    rge_dict: the `rge` block of the card, which SMEFiT reads with its own defaults; its `scale_variation`
    multiplies the scale where `obs_scale` is dynamic. names: of the card. dataset: what messages call it.
    Raises InputError for a block that is wrong.
    """
    running = Running.parse(rge_dict, names)

    def to_scale(scale: float) -> tuple[Sequence[str], np.ndarray]:
        at = running.dataset_scale(scale, dataset)
        _log.info("Dataset %s: coefficients run to %g GeV", dataset, at)
        for note in running.notes:
            _log.warning(note)
        return running.matrix(at)

    return to_scale
