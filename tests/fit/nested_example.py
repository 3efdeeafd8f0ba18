"""A Gaussian likelihood for runs in processes of their own: `python nested_example.py FOLDER [SECONDS]`.

Prints log Z, its error, means of the samples, evaluations, and which process it is, as JSON.
SECONDS are waited in every call, for a run that is to be interrupted.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from smeft_unbinned import GaussianDataset, Likelihood, Polynomial, sample
from smeft_unbinned.fit.ranks import communicator
from smeft_unbinned.polynomial import size

NAMES = ("a", "b", "c")
HALF = 20.0
SETTINGS = {"nlive": 100, "seed": 3}


def likelihood(parameters: int = 3, seed: int = 4) -> Likelihood:
    """Return one that is linear in the parameters, with a flat prior much wider than the posterior."""
    rng, points = np.random.default_rng(seed), parameters + 7
    names = NAMES if parameters == 3 else tuple(f"x{i}" for i in range(parameters))
    coefficients = np.zeros((points, size(parameters)))
    coefficients[:, 1 : parameters + 1] = rng.normal(size=(points, parameters))
    theory = Polynomial(names, coefficients)
    data = GaussianDataset("g", rng.normal(size=points), theory, np.eye(points), basis="other")
    return Likelihood([data], bounds=dict.fromkeys(names, (-HALF, HALF)))


def main() -> None:
    target = likelihood()
    value = target.m2logl

    def slow(c: Any) -> Any:
        time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
        return value(c)

    target.m2logl = slow  # type: ignore[method-assign]
    result = sample(target, log_dir=sys.argv[1], **SETTINGS)
    comm = communicator()
    content = {
        "rank": comm.Get_rank() if comm else None,
        "logz": result.logz,
        "error": result.logz_error,
        "mean": result.samples.mean().to_dict(),
        "calls": result.provenance["ncall"],
        "coordinates": result.provenance["coordinates"]["kind"],
    }
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
