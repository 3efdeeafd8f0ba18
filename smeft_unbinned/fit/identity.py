"""A short hash of a likelihood and of what is done with it, by which a stored result is known again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from ..likelihood import Likelihood
from .provenance import provenance

PROBES = (-0.1, 0.03, 0.2)
"""Values of all parameters together at which the likelihood is compared, unless points are given."""


def identity(likelihood: Likelihood, points: np.ndarray | None = None, **settings: Any) -> str:
    """Return 16 hexadecimal digits that differ for another likelihood and for other settings.

    Checksums do not tell everything, running for one: -2 log L at a few points stands for the rest.

    points: (s, p), in the units of the parameters. settings: whatever else the result depends on; what JSON
    does not know counts by its text.
    """
    if points is None:
        points = np.outer(PROBES, np.ones(len(likelihood.parameters)))
    with np.errstate(all="ignore"):
        values = np.asarray(likelihood.m2logl(points))
    record = provenance(likelihood, ())
    content = {
        "parameters": list(likelihood.parameters),
        "record": {k: v for k, v in record.items() if k not in ("versions", "sm_chi2")},
        "values": [f"{x:.8g}" for x in values],
        **settings,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]
