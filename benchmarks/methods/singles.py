"""One coefficient, one network, by cross-entropy between two separate samples, as in ML4EFT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smeft_unbinned import Events
from smeft_unbinned.estimators import train
from smeft_unbinned.events.samples import Samples

Real = NDArray[np.float64]
EPOCHS = {"linear": 12, "quadratic": 16, "cross": 20}
"""At most: linear terms and those that dominate the rate are learned soon."""
NETWORK = {"name": "mlp", "hidden": (32, 32), "products": 16, "separate": False}
"""A network of about the size that one coefficient needs."""


def single_term(
    folder: Path, term: str, features: pd.DataFrame, settings: dict[str, Any]
) -> tuple[Real, dict[str, Any]]:
    """Train on sm.npz and TERM.npz of the folder; return the coefficient (N,) at the features, and the cost.

    The network has one output for a linear term. For the others it has outputs that no sample constrains,
    which cost next to nothing, since all share the hidden layers.
    """
    with np.load(folder / f"{term}.npz") as data, np.load(folder / "sm.npz") as sm:
        columns, operators = data["names"].tolist(), data["operators"].tolist()
        used = [k for k, c in enumerate(data["point"]) if c]
        point, kind = data["point"][used], term.rpartition("_")[2]
        frames = [pd.DataFrame(source["features"], columns=columns) for source in (sm, data)]
        sigmas = [float(source["cross_section"]) for source in (sm, data)]
    names = tuple(operators[k] for k in used)
    events = [
        Events(frame, None, np.full(len(frame), sigma / len(frame)), None, {"terms": terms})
        for frame, sigma, terms in zip(frames, sigmas, ("full", kind), strict=True)
    ]
    samples = Samples(names, np.stack([np.zeros(len(names)), point]), tuple(events))
    estimator = train(
        samples,
        loss="decomposed",
        head="linear" if kind == "linear" else "quadratic",
        backbone=NETWORK,
        replicas=1,
        batch=1024,
        **{**settings, "epochs": min(EPOCHS[kind], settings.get("epochs", EPOCHS[kind]))},
    )
    coefficients = estimator(features).dense().coefficients
    index = {"linear": 1, "quadratic": 2, "cross": 4}[kind]  # of 1, a, aa; and of 1, a, b, aa, ab, bb
    return coefficients[:, index], {
        "cpu": estimator.metadata["seconds"]["cpu"],
        "epochs": len(estimator.metadata["history"]),
        "training_notes": estimator.notes,
        "events": len(samples.events[0]) + len(samples.events[1]),
    }
