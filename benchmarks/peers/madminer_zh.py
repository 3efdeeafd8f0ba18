"""Train MadMiner's SALLY, ALICE and ALICES (arXiv:1805.00020, 1808.00973) on the events of make_inputs.py.

python madminer_zh.py FOLDER OUTPUT [--methods sally,alice,alices] [--draws 100000] [--widths 0.3,0.1]

Runs in an environment with madminer 0.9.6 (requirements-madminer.txt), with its own estimators, networks and
training settings. The training data (theta, x, y, r_xz, t_xz) are what its SampleAugmenter makes: half of the
draws follow theta0, of which 1,000 come from a Gaussian prior around zero with the widths given, and half the
SM; the joint ratio, of normalised densities, and the joint score come from its own function and the truth
polynomials, with cross sections from the same weights. SALLY gets draws from the SM alone. OUTPUT receives
madminer_METHOD.npz with

- score (N, n) at the SM for SALLY; for the others log_r (8, N) of normalised densities at points.npy and
  log_r_grid (n, 41, N) with one coefficient at a time on grid.npy; at the N events of test.npz;
- cpu_seconds: of the training, child processes included; loss, loss_validation (epochs,); settings: JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from madminer.ml import ParameterizedRatioEstimator, ScoreEstimator
from madminer.sampling import SampleAugmenter

DEFAULTS = {
    "n_hidden": [100], "activation": "tanh", "optimizer": "amsgrad", "n_epochs": 50, "batch_size": 128,
    "initial_lr": 1e-3, "final_lr": 1e-4, "validation_split": 0.25, "early_stopping": True,
}  # fmt: skip
"""Defaults of madminer 0.9.6, recorded in the output; none is passed on."""
THETAS = 1000


class Events(NamedTuple):
    """Weighted events: features (N, F), weights (N,), and truth (N, P)."""

    features: np.ndarray
    weights: np.ndarray
    truth: np.ndarray


class Draws(NamedTuple):
    """Training data as MadMiner names them: (D, n), (D, F), (D, 1), (D, 1), (D, n)."""

    theta: np.ndarray
    x: np.ndarray
    y: np.ndarray
    r_xz: np.ndarray
    t_xz: np.ndarray


def monomials(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the monomials (P,) of theta (n,) and their derivatives (n, P)."""
    x, unit = np.append(1.0, theta), np.eye(len(theta) + 1)[1:]
    rows, columns = np.triu_indices(len(x))
    return x[rows] * x[columns], unit[:, rows] * x[columns] + x[rows] * unit[:, columns]


def draw(events: Events, theta: np.ndarray, n: int, from_sm: bool, rng: np.random.Generator) -> Draws:
    """Draw n events at theta (n,) or at the SM, with joint ratio to the SM and joint score at theta."""
    values, gradients = monomials(theta)
    numerator = events.weights * (events.truth @ values)
    gradient = events.weights * (gradients @ events.truth.T)
    sigma, sigma_gradient = numerator.sum(), gradient.sum(axis=1)
    density = events.weights if from_sm else numerator
    rows = rng.choice(len(density), n, p=density / density.sum())
    ratio, score = SampleAugmenter._calculate_augmented_data(
        [("ratio", 0, 1), ("score", 0)],
        np.stack([numerator[rows], events.weights[rows]]),
        gradient[None, :, rows],
        np.array([sigma, events.weights.sum()]),
        sigma_gradient[None],
    )
    y = np.full((n, 1), float(from_sm))
    return Draws(np.tile(theta, (n, 1)), events.features[rows], y, ratio, score)


def ratio_draws(events: Events, n: int, widths: np.ndarray, rng: np.random.Generator) -> Draws:
    """Return n shuffled draws, half from the prior's theta and half from the SM."""
    count = min(THETAS, n // 2)
    parts = []
    for from_sm in (False, True):
        sizes = np.full(count, n // 2 // count)
        sizes[: n // 2 - int(sizes.sum())] += 1
        for size in sizes:
            theta = rng.normal(size=len(widths)) * widths
            parts.append(draw(events, theta, int(size), from_sm, rng))
    order = rng.permutation(sum(len(p.x) for p in parts))
    return Draws(*(np.concatenate(columns)[order].astype(np.float32) for columns in zip(*parts, strict=True)))


def cpu_seconds() -> float:
    """Return the processor time of this process and its finished children, s."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def timed(train: Any, **arguments: Any) -> dict[str, Any]:
    """Run a training and return its cost and losses."""
    start, wall = cpu_seconds(), time.perf_counter()
    loss, validation = train(**arguments)
    return {
        "cpu_seconds": cpu_seconds() - start, "wall_seconds": time.perf_counter() - wall,
        "loss": loss, "loss_validation": validation, "epochs": len(loss),
    }  # fmt: skip


def run(
    method: str, events: Events, test: np.ndarray, folder: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Train one method and evaluate it at the test events (N, F)."""
    widths = np.array([float(w) for w in options.widths.split(",")])
    rng = np.random.default_rng(options.seed)
    np.random.seed(options.seed)  # noqa: NPY002  (the generator that madminer splits the data with)
    torch.manual_seed(options.seed)
    if method == "sally":
        data = draw(events, np.zeros(len(widths)), options.draws, True, rng)
        score = ScoreEstimator()
        x, t_xz = data.x.astype(np.float32), data.t_xz.astype(np.float32)
        out = timed(score.train, method="sally", x=x, t_xz=t_xz, n_workers=options.workers)
        return out | {"score": score.evaluate_score(test)}
    data = ratio_draws(events, options.draws, widths, rng)
    extra = {"t_xz": data.t_xz, "alpha": options.alpha} if method == "alices" else {}
    ratio = ParameterizedRatioEstimator()
    out = timed(
        ratio.train, method=method, theta=data.theta, x=data.x, y=data.y, r_xz=data.r_xz,
        n_workers=options.workers, **extra,
    )  # fmt: skip
    points, grid = np.load(folder / "points.npy"), np.load(folder / "grid.npy")
    out["log_r"] = ratio.evaluate_log_likelihood_ratio(test, points)[0]
    axes = np.eye(len(grid))[:, None, :] * grid[:, :, None]
    out["log_r_grid"] = np.stack([ratio.evaluate_log_likelihood_ratio(test, axis)[0] for axis in axes])
    return out


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--methods", default="sally,alice,alices")
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--widths", default="0.3,0.1", help="of the prior, TeV^-2, one per coefficient")
    parser.add_argument("--alpha", type=float, default=1.0, help="weight of the score in ALICES")
    parser.add_argument("--workers", type=int, default=0, help="loader processes; 8 in MadMiner, same result")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING, stream=sys.stdout)
    logging.getLogger("madminer").setLevel(logging.INFO)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    options.output.mkdir(parents=True, exist_ok=True)
    with np.load(options.folder / "train.npz") as data, np.load(options.folder / "test.npz") as other:
        events, test = Events(data["features"], data["weights"], data["truth"]), other["features"]
    settings = DEFAULTS | {k: v for k, v in vars(options).items() if k not in ("folder", "output")}
    for method in options.methods.split(","):
        out = run(method, events, test, options.folder, options)
        np.savez(options.output / f"madminer_{method}.npz", settings=json.dumps(settings), **out)
        print(f"{method}: {out['cpu_seconds']:.0f} CPU s, {out['epochs']} epochs", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
