"""Events with nuisance parameters: a smeared ZH with three of exact weights, and the ttH sample with three.

python benchmarks/engine/nuisances_inputs.py [--tth FILE.h5] [--events 50000]

Trains the responses of both and prints what was learned: the error on held-out events over that of a
constant, and for ZH how the mean of predicted ratios differs from that of true ones on other events, in bins
of the observables.

The three of ZH multiply the rate of an event z, before the detector, by exp(theta D(z)):

- `scale`: 0.05 log(pT(Z)/100 GeV), the slope of a renormalisation scale;
- `luminosity`: 0.04 log(m(ZH)/300 GeV), a tilt of the parton luminosity;
- `efficiency`: 0.1 cos^2 theta*, an acceptance that depends on the angle.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smeft_unbinned import Events
from smeft_unbinned.estimators.responses import ResponseEstimator, train_responses
from smeft_unbinned.events import Nuisances
from smeft_unbinned.events.nuisance_samples import largest, read_with_nuisances
from smeft_unbinned.processes import vh
from smeft_unbinned.processes.smearing import ZH_DETECTOR, smear

Real = NDArray[np.float64]

OPERATORS = ("cHW", "cHq3")
PT_MIN = 75.0
COUNT = 3
TTH_FEATURES = (
    "pt_aa", "eta_aa", "m_bb", "pt_bb", "met", "pt_ll", "pt_l1", "e_l1", "pt_b1", "e_b1", "e_a1", "n_j",
)  # fmt: skip
"""Of 48 observables the twelve that carry energies and boosts: 1,257 events can teach no more."""
ZH_TRAINING = {"replicas": 5, "hidden": (32, 32), "epochs": 40}
TTH_TRAINING = {
    "replicas": 20, "hidden": (8,), "epochs": 60, "batch": 64, "learning_rate": 3e-3, "validation": 0.25,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a measurement with nuisances is made from.

    events: N of them, as a detector sees them, with labels R(z|c) and weights in pb. true: the responses D(z)
    of the same events before the detector, N rows. latent: the events before the detector, or None.
    """

    events: Events
    true: Nuisances
    latent: Events | None = None


def zh_inputs(
    n: int = 50_000, *, seed: int, operators: tuple[str, ...] = OPERATORS, copies: int = 1
) -> Inputs:
    """Return smeared pp -> ZH events at 14 TeV with three nuisances; each of n enters `copies` times."""
    latent = vh.generate(n, seed=seed, operators=operators, pt_min=PT_MIN)
    index = np.repeat(np.arange(n), copies)
    return Inputs(smear(latent, ZH_DETECTOR, seed, copies), zh_responses(latent.features)[index], latent)


def zh_responses(points: pd.DataFrame) -> Nuisances:
    """Return the exact responses at phase-space points before the detector."""
    linear = np.stack(
        [
            0.05 * np.log(points["pt_z"].to_numpy() / 100.0),
            0.04 * np.log(points["m_zh"].to_numpy() / 300.0),
            0.1 * points["cos_theta_star"].to_numpy() ** 2,
        ],
        axis=1,
    )
    return Nuisances(("scale", "luminosity", "efficiency"), linear, np.zeros_like(linear))


def tth_inputs(path: str | Path, count: int = COUNT) -> Inputs:
    """Return the events of the ttH sample and their `count` nuisances of largest effect."""
    events, every = read_with_nuisances([path])
    return Inputs(events, largest(events, every, count))


def zh_training(inputs: Inputs, *, seed: int, progress: bool = False) -> ResponseEstimator:
    """Return the responses learned from what the detector sees of ZH."""
    return train_responses(inputs.events, inputs.true, seed=seed, progress=progress, **ZH_TRAINING)


def tth_training(inputs: Inputs, *, seed: int, progress: bool = False) -> ResponseEstimator:
    """Return the responses learned from twelve observables of ttH."""
    return train_responses(
        inputs.events, inputs.true, features=TTH_FEATURES, seed=seed, progress=progress, **TTH_TRAINING
    )


def closure(estimator: ResponseEstimator, other: Inputs, bins: int = 10) -> pd.DataFrame:
    """Return how well predicted ratios agree with true ones, on average over other events in quantile bins.

    A row per nuisance and feature. largest: of |mean predicted - mean true| of r(theta = 1) over bins, over
    the spread of the true bin means. chi2: of the differences, with the fluctuation of these events, per bin.
    """
    predicted, rows = estimator(other.events.features), []
    w = np.asarray(other.events.weights)
    for name in estimator.names:
        true, found = other.true.ratio({name: 1.0}), predicted.ratio({name: 1.0})
        for feature in other.events.features:
            x = other.events.column(feature)
            where = np.searchsorted(np.quantile(x, np.linspace(0, 1, bins + 1)[1:-1]), x)
            sums = np.bincount(where, w, bins)
            mean = np.bincount(where, w * true, bins) / sums
            off = np.bincount(where, w * (found - true), bins) / sums
            residual = (w * (found - true - off[where])) ** 2
            error = np.sqrt(np.bincount(where, residual, bins)) / sums
            spread = float(np.sqrt(np.average((mean - mean.mean()) ** 2)))
            rows.append((name, feature, np.abs(off).max() / spread, float(np.mean((off / error) ** 2))))
    return pd.DataFrame(rows, columns=["nuisance", "feature", "largest", "chi2"])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tth", type=Path, help="MadMiner file of the ttH sample")
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    inputs = zh_inputs(options.events, seed=options.seed)
    learned = zh_training(inputs, seed=options.seed, progress=True)
    print(f"ZH, {options.events} events, {learned.metadata['seconds']['cpu']:.0f} CPU seconds")
    print(learned.held_out().to_string(float_format="%.3f"), *learned.notes, sep="\n")
    other = zh_inputs(options.events, seed=options.seed + 1000)
    print(closure(learned, other).pivot(index="feature", columns="nuisance").to_string(float_format="%.3f"))
    if options.tth is not None:
        sample = tth_inputs(options.tth)
        learned = tth_training(sample, seed=options.seed, progress=True)
        print(f"ttH, {len(sample.events)} events, {learned.metadata['seconds']['cpu']:.0f} CPU seconds")
        print(learned.held_out().to_string(float_format="%.3f"), *learned.notes, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
