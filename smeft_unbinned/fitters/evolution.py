"""Running of a fitter's coefficients to the scale of a dataset, by a block `rge` as in SMEFiT's runcards."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..rge import Running
from .term import Evolve


def evolution(
    rge: Mapping[str, Any] | None, names: Sequence[str], dataset: str, log: logging.Logger
) -> Evolve | None:
    """Return the function that runs coefficients to the scale of a dataset in GeV, for `Term`.

    rge: the block, read with SMEFiT's defaults; its `scale_variation` multiplies the scale where `obs_scale`
    is dynamic. None is no running. names: of the fit. dataset: what messages call it. log: where the scale
    and what to know about the running are told.
    Raises InputError for a block that is wrong.
    """
    if rge is None:
        return None
    running = Running.parse(dict(rge), names)

    def to_scale(scale: float) -> tuple[Sequence[str], np.ndarray]:
        at = running.dataset_scale(scale, dataset)
        log.info("Dataset %s: coefficients run to %g GeV", dataset, at)
        for note in running.notes:
            log.warning("%s", note)
        return running.matrix(at)

    return to_scale
