"""A MadGraph sample from end to end: read, train, check the mean of r on held-out events, export and fit.

python benchmarks/real_sample.py FILE.lhe.gz [--epochs 40 --replicas 5]

Compares the mean of the network's r over held-out events with sigma(c)/sigma(0) from the weights of all
events at 20 random c in [-1, 1]^n, in standard errors of that mean; exit code 1 beyond three.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from smeft_unbinned import Events, Likelihood, export, minimise
from smeft_unbinned.estimators import train
from smeft_unbinned.events.lhe import read_lhe


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--replicas", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    events = read_lhe([options.file])
    lowest = np.linalg.eigvalsh(events.truth.matrix()).min()
    print(
        f"{len(events)} events, {', '.join(events.operators)}; smallest eigenvalue of the truth {lowest:.2g}"
    )
    part, held_out = events.split(0.7, options.seed)
    part = Events(part.features, part.truth, part.weights, None, part.metadata)  # sigma(c) of this part alone
    estimator = train(
        part, replicas=options.replicas, epochs=options.epochs, seed=options.seed, progress=True
    )
    points = np.random.default_rng(options.seed).uniform(-1, 1, (20, len(events.operators)))
    ratios = estimator(held_out.features).evaluate(points)  # (20, N)
    w = held_out.weights / held_out.weights.sum()
    mean = ratios @ w
    error = np.sqrt(((ratios - mean[:, None]) ** 2) @ w**2)
    target = events.cross_section.evaluate(points) / events.cross_section.constant
    pulls = (mean - target) / error
    worst = float(np.abs(pulls).max())
    print(
        f"mean of r against sigma(c)/sigma(0): largest |pull| {worst:.2f}, "
        f"rms {np.sqrt(np.mean(pulls**2)):.2f}"
    )
    print(f"smallest r over held-out events: {ratios.min():.3g}")
    dataset = export(estimator, held_out, name="vbf", luminosity=1.0, efficiency=0.01)
    result = minimise(Likelihood([dataset]))
    print(result.table().to_string(), result.valid, result.messages, sep="\n")
    return 0 if worst < 3 and lowest > -1e-4 and result.valid else 1


if __name__ == "__main__":
    sys.exit(main())
