"""Stage `smeared`: what is learned at reconstruction level, with and without fractional smearing.

The reference is a sample ten times larger: its labels, averaged in bins of what the detector sees, are the
coefficients E[R(z)|x] averaged there, with a known error. Networks are averaged over the same events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from common import PROBLEMS, Bench, Real, cached, truth_of
from numpy.typing import NDArray

from smeft_unbinned import Events
from smeft_unbinned.diagnostics.result import plain
from smeft_unbinned.estimators import train
from smeft_unbinned.processes.smearing import ZH_DETECTOR, fractional_smear, smear

Whole = NDArray[np.int64]

STAGE = "smeared"
PROBLEM = "zh2"
SEEDS, REFERENCE = 4, 1_000_000
OPTIONS = ("smeared once", "fractional smearing")
EDGES = (0.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 250.0, 300.0, 400.0, 500.0, 650.0, 850.0, np.inf)
"""Bins of the reconstructed transverse momentum of the Z, GeV."""
CELLS = {"pt_z": 20, "m_zh": 5, "cos_theta_l": 5}
"""Features and numbers of quantile bins of the cells in which networks are judged."""
COPIES = 10


def run(bench: Bench) -> None:
    """Train with both options and several seeds, and compare with the reference."""
    seeds = SEEDS if bench.scale >= 1 else 2
    training = {"replicas": 1, **bench.training()}
    size = bench.count(REFERENCE, 10_000)
    asked = {"problem": PROBLEM, "train": training, "reference": size, "seeds": seeds, "copies": COPIES}
    cached(bench, STAGE, "zh2", asked, _compared(bench, training, size, seeds))


def _compared(bench: Bench, training: dict[str, Any], size: int, seeds: int) -> Callable[[], dict[str, Any]]:
    def compute() -> dict[str, Any]:
        problem = PROBLEMS[PROBLEM]
        plain_events = problem.generate(size, bench.seed + 5000)
        reference = smear(plain_events, ZH_DETECTOR, bench.seed + 5001)
        labels, weights = truth_of(reference).coefficients[:, 1:], np.asarray(reference.weights)
        bins = np.searchsorted(EDGES, reference.column("pt_z"), side="right") - 1
        cells = _cells(reference)
        result: dict[str, Any] = {
            "coefficients": _names(problem.operators),
            "events": bench.count(problem.events, 1000),
            "reference": size,
            "seeds": seeds,
            "copies": COPIES,
            "edges": [e if np.isfinite(e) else None for e in EDGES],
            "pt_mean": _binned(reference.column("pt_z")[:, None], weights, bins, len(EDGES) - 1)[0][:, 0],
        }
        result["true"], result["true_error"] = _binned(labels, weights, bins, len(EDGES) - 1)
        cell_true, cell_error = _binned(labels, weights, cells, int(cells.max()) + 1)
        share = np.bincount(cells, weights) / weights.sum()
        result["learned"] = {}
        for option in OPTIONS:
            runs = []
            for k in range(seeds):
                estimator = train(_training(bench, option, k), **training, seed=bench.seed + k)
                found = estimator(reference.features).dense().coefficients[:, 1:]
                mean = _binned(found, weights, bins, len(EDGES) - 1)[0]
                off = _binned(found, weights, cells, int(cells.max()) + 1)[0] - cell_true
                variance = share @ (cell_true - share @ cell_true) ** 2 - share @ cell_error**2
                runs.append(
                    {
                        "binned": mean,
                        "cell_error": (share @ (off**2 - cell_error**2)) / variance,
                        "label_mse": (weights @ (found - labels) ** 2) / weights.sum(),
                        "cpu": estimator.metadata["seconds"]["cpu"],
                        "rows": estimator.metadata["events"]["count"],
                    }
                )
            result["learned"][option] = plain(runs)
        return result

    return compute


def _names(operators: tuple[str, ...]) -> list[str]:
    names = ("", *operators)
    rows, columns = np.triu_indices(len(names))
    return ["*".join(n for n in (names[i], names[j]) if n) for i, j in zip(rows, columns, strict=True)][1:]


def _training(bench: Bench, option: str, k: int) -> Events:
    """Return the k-th training sample; both options smear the same events."""
    problem = PROBLEMS[PROBLEM]
    events = problem.generate(bench.count(problem.events, 1000), bench.seed + 6000 + k)
    if option == OPTIONS[0]:
        return smear(events, ZH_DETECTOR, bench.seed + 7000 + k)
    return fractional_smear(events, ZH_DETECTOR, bench.seed + 7000 + k, copies=COPIES)


def _cells(events: Events) -> Whole:
    """Return the number (N,) of the cell of each event, cells without events left out."""
    code = np.zeros(len(events), dtype=np.int64)
    for name, count in CELLS.items():
        column = events.column(name)
        inner = np.quantile(column, np.arange(1, count) / count)
        code = code * count + np.searchsorted(inner, column)
    return np.asarray(pd.factorize(code, sort=True)[0])


def _binned(values: Real, weights: Real, bins: Whole, count: int) -> tuple[Real, Real]:
    """Return weighted means (count, K) of values (N, K) in bins (N,), and their standard errors."""
    total = np.bincount(bins, weights, count)[:, None]
    safe = np.where(total > 0, total, 1.0)
    mean = np.stack([np.bincount(bins, weights * v, count) for v in values.T], axis=1) / safe
    squares = weights[:, None] ** 2 * (values - mean[bins]) ** 2
    error = np.sqrt(np.stack([np.bincount(bins, s, count) for s in squares.T], axis=1)) / safe
    empty = total[:, 0] <= 0
    mean[empty], error[empty] = np.nan, np.nan
    return mean, error
