"""Time `evaluate_log_likelihood_ratio` of MadMiner (arXiv:1907.10621), in an environment with madminer 0.9.6.

python peers_madminer.py INPUT.npz [--calls 3] [--together 4]

INPUT holds features (N, F) and points (K, 2). The estimator is MadMiner's own with its default network, one
layer of 100, trained for one epoch on events of the input with made-up ratios: what it learned is of no
interest, a call takes the same time. Every call runs the network at all events. Prints JSON: seconds of each
call at one point, and of each call at `together` points at once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from pathlib import Path

import numpy as np
import torch
from madminer.ml import ParameterizedRatioEstimator

DRAWS = 2_000


def trained(features: np.ndarray) -> ParameterizedRatioEstimator:
    """Return an estimator in two coefficients."""
    rng = np.random.default_rng(1)
    n = min(DRAWS, len(features))
    estimator = ParameterizedRatioEstimator()
    estimator.train(
        method="alice",
        x=features[:n].astype(np.float32),
        theta=rng.normal(size=(n, 2)).astype(np.float32),
        y=(np.arange(n) % 2).reshape(-1, 1).astype(np.float32),
        r_xz=rng.uniform(0.5, 2.0, (n, 1)).astype(np.float32),
        n_epochs=1,
        n_workers=0,
    )
    return estimator


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path)
    parser.add_argument("--calls", type=int, default=3)
    parser.add_argument("--together", type=int, default=4)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with np.load(options.input) as data:
        features, points = data["features"], data["points"]
    estimator = trained(features)

    def call(count: int) -> float:
        start = time.perf_counter()
        estimator.evaluate_log_likelihood_ratio(features, points[:count])
        return time.perf_counter() - start

    call(1)
    seconds = [call(1) for _ in range(options.calls)]
    print(json.dumps({"seconds": seconds, "together": [call(options.together)]}))


if __name__ == "__main__":
    main()
