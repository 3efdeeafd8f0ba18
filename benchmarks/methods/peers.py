"""Stage `peers`: ML4EFT and MadMiner beside this package, on the same events.

The peers run in environments of their own, see ../peers; this program only starts them, reads their arrays
and measures both sides alike. Accuracy is taken at the test events and points of ../peers/make_inputs.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from common import Bench, Real, cached, truth_of
from gridfit import grid_intervals
from singles import single_term

from smeft_unbinned import Events, Polynomial
from smeft_unbinned.diagnostics import accuracy
from smeft_unbinned.errors import InputError
from smeft_unbinned.estimators import train
from smeft_unbinned.polynomial import QuadraticForm, monomial_gradient, monomials, size
from smeft_unbinned.storage import make_folder

STAGE = "peers"
EXPECTED = 10_000
LOADER_EPOCHS = 10
PROGRAMS = Path(__file__).resolve().parents[1] / "peers"
TERMS = ("cHW_linear", "cHW_quadratic", "cHq3_linear", "cHq3_quadratic", "cross")


class Inputs(NamedTuple):
    """What make_inputs.py wrote: events to train on, events to test on, points (K, n) and grid (n, G)."""

    train: Events
    test: Events
    points: Real
    grid: Real


def run(bench: Bench, *, ml4eft: Path | None, madminer: Path | None, inputs: Path, outputs: Path) -> None:
    """Run what is missing of the peers, and measure both sides."""
    make_folder(inputs)
    make_folder(outputs)
    if not (inputs / "grid.npy").exists():
        sizes = ["--events", 100_000, "--test", 20_000, "--sample", 100_000, "--pool", 1_000_000]
        scaled = [bench.count(s, 1000) if isinstance(s, int) else s for s in sizes]
        _call(Path(sys.executable), "make_inputs.py", inputs, *scaled)
    data = load(inputs)
    shared = {"events": len(data.train), "test": len(data.test)}
    for term in TERMS:
        asked = {**shared, "term": term}
        cached(bench, STAGE, f"ml4eft_{term}", asked, _theirs(bench, ml4eft, inputs, outputs, term))
        cached(bench, STAGE, f"ours_{term}", asked, _single(bench, inputs, data, term))
    cached(bench, STAGE, "ml4eft_loader", shared, _loader(bench, ml4eft, inputs, outputs))
    cached(bench, STAGE, "ml4eft", shared, lambda: _ml4eft_together(data, outputs))
    for method in ("sally", "alice", "alices"):
        compute = _madminer(bench, madminer, inputs, outputs, data, method)
        cached(bench, STAGE, f"madminer_{method}", {**shared, "method": method}, compute)
    ours: dict[str, dict[str, Any]] = {
        "ours_default": {"replicas": 10 if bench.scale >= 1 else 2},
        "ours_short": {"replicas": 1, "epochs": 6},
        "ours_alices": {"loss": "alices", "replicas": 1},
        "ours_sally": {"loss": "sally", "replicas": 1},
    }
    for name, settings in ours.items():
        full = {"seed": bench.seed, **bench.training(), **settings}
        cached(bench, STAGE, name, {**shared, "train": full}, _ours(data, full))


def load(folder: Path) -> Inputs:
    """Read the events, points and grid of make_inputs.py."""
    found = {}
    for name in ("train", "test"):
        with np.load(folder / f"{name}.npz") as content:
            operators = content["operators"].tolist()
            found[name] = Events(
                pd.DataFrame(content["features"], columns=content["names"].tolist()),
                Polynomial(operators, content["truth"]),
                content["weights"],
                Polynomial(operators, content["cross_section"]),
            )
    points, grid = np.load(folder / "points.npy"), np.load(folder / "grid.npy")
    return Inputs(found["train"], found["test"], points, grid)


def _call(python: Path, program: str, *arguments: object) -> None:
    """Run a program of ../peers with one thread; raise InputError with the end of its errors if it fails."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [str(python), str(PROGRAMS / program), *map(str, arguments)]
    done = subprocess.run(
        command, env={**os.environ, **threads}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise InputError(f"{program} failed: {lines[-1] if lines else done.returncode}")


def _missing(package: str, option: str) -> InputError:
    return InputError(f"no results of {package}, and no environment to make them in: give {option}")


def _theirs(
    bench: Bench, python: Path | None, inputs: Path, outputs: Path, term: str
) -> Callable[[], dict[str, Any]]:
    """Return how a network of ML4EFT does, trained first unless its file is there."""

    def compute() -> dict[str, Any]:
        path = outputs / f"ml4eft_{term}.npz"
        if not path.exists():
            if python is None:
                raise _missing("ml4eft", "--ml4eft-python")
            fewer = [] if bench.scale >= 1 else ["--max-epochs", bench.count(2000, 2)]
            _call(python, "ml4eft_zh.py", inputs, outputs, "--terms", term, "--batched", *fewer)
        test = load(inputs).test
        with np.load(path) as content:
            return {
                **term_accuracy(content["predicted"], test, term),
                "cpu": float(content["cpu_seconds"]),
                "epochs": int(content["epochs"]),
                "settings": json.loads(str(content["settings"])),
            }

    return compute


def _loader(bench: Bench, python: Path | None, inputs: Path, outputs: Path) -> Callable[[], dict[str, Any]]:
    """Return the CPU seconds per epoch of ML4EFT with its own loading of data, and with batched loading."""

    def compute() -> dict[str, Any]:
        if python is None:
            raise _missing("ml4eft", "--ml4eft-python")
        epochs, term = bench.count(LOADER_EPOCHS, 2), TERMS[0]
        costs = {}
        for name, more in (("own", []), ("batched", ["--batched"])):
            folder = make_folder(outputs / f"loader_{name}")
            _call(python, "ml4eft_zh.py", inputs, folder, "--terms", term, "--max-epochs", epochs, *more)
            with np.load(folder / f"ml4eft_{term}.npz") as content:
                costs[name] = float(content["cpu_seconds"]) / int(content["epochs"])
        return {"epochs_timed": epochs, **costs}

    return compute


def term_index(operators: tuple[str, ...], term: str) -> int:
    """Return the position of a term, named as by make_inputs.py, among the packed monomials."""
    rows, columns = np.triu_indices(len(operators) + 1)
    i, j = 1, 2
    if term != "cross":
        name, _, kind = term.rpartition("_")
        j = operators.index(name) + 1
        i = 0 if kind == "linear" else j
    return int(np.flatnonzero((rows == i) & (columns == j))[0])


def term_accuracy(predicted: Real, test: Events, term: str) -> dict[str, Any]:
    """Return R^2 and relative MSE of a predicted coefficient (N,) at the test events, weighted."""
    w = np.asarray(test.weights) / np.sum(np.asarray(test.weights))
    truth = truth_of(test).coefficients[:, term_index(test.operators, term)]
    mse = float(w @ (predicted - truth) ** 2 / (w @ (truth - w @ truth) ** 2))
    return {"term": term, "relative_mse": mse, "r2": 1.0 - mse}


def _single(bench: Bench, inputs: Path, data: Inputs, term: str) -> Callable[[], dict[str, Any]]:
    """Return how a network of this package does on the separate samples that ML4EFT learned the term from."""

    def compute() -> dict[str, Any]:
        settings = {"seed": bench.seed, **bench.training()}
        predicted, about = single_term(inputs, term, data.test.features, settings)
        return {**term_accuracy(predicted, data.test, term), **about}

    return compute


def _ml4eft_together(data: Inputs, outputs: Path) -> dict[str, Any]:
    """Return the accuracy of log r and of intervals that all terms of ML4EFT give."""
    missing = [term for term in TERMS if not (outputs / f"ml4eft_{term}.npz").exists()]
    if missing:
        raise InputError(f"log r of ML4EFT needs all terms; {', '.join(missing)} are missing")
    coefficients = np.zeros((len(data.test), size(len(data.test.operators))))
    coefficients[:, 0] = 1.0
    for term in TERMS:
        with np.load(outputs / f"ml4eft_{term}.npz") as content:
            coefficients[:, term_index(data.test.operators, term)] = content["predicted"]
    return _form_accuracy(Polynomial(data.test.operators, coefficients), data)


def _madminer(
    bench: Bench, python: Path | None, inputs: Path, outputs: Path, data: Inputs, method: str
) -> Callable[[], dict[str, Any]]:
    """Return how an estimator of MadMiner does, trained first unless its file is there."""

    def compute() -> dict[str, Any]:
        path = outputs / f"madminer_{method}.npz"
        if not path.exists():
            if python is None:
                raise _missing("madminer", "--madminer-python")
            draws = bench.count(100_000, 2000)
            _call(python, "madminer_zh.py", inputs, outputs, "--methods", method, "--draws", draws)
        with np.load(path) as content:
            cost = {"cpu": float(content["cpu_seconds"]), "epochs": int(content["epochs"])}
            if method == "sally":
                return {**score_accuracy(content["score"], data.test), **cost}
            log_r, grid = content["log_r"], content["log_r_grid"]
        log_r = log_r + np.log(_rate(data.test, data.points))[:, None]
        axes = np.eye(len(grid))[:, None, :] * data.grid[:, :, None]
        grid = grid + np.log(_rate(data.test, axes))[:, :, None]
        table = accuracy(log_r, truth_of(data.test), np.asarray(data.test.weights), data.points)
        return {
            "mse": table["relative_mse"].tolist(),
            "mean_mse": float(table["relative_mse"].mean()),
            "non_positive": 0,
            "intervals": _intervals(grid, data),
            **cost,
        }

    return compute


def score_accuracy(score: Real, test: Events) -> dict[str, Any]:
    """Return R^2 of the score at the SM of normalised densities, (N, n), by coefficient."""
    truth, sigma = truth_of(test), test.cross_section
    assert sigma is not None
    slope = monomial_gradient(np.zeros(len(test.operators)))
    exact = truth.linear - slope @ sigma.coefficients / sigma.coefficients[0]
    w = np.asarray(test.weights) / np.sum(np.asarray(test.weights))
    mse = w @ (score - exact) ** 2 / (w @ (exact - w @ exact) ** 2)
    return {"score_r2": dict(zip(test.operators, (1.0 - mse).tolist(), strict=True))}


def _rate(events: Events, points: Real) -> Real:
    """Return sigma(c)/sigma(0), (...), at points (..., n)."""
    sigma = events.cross_section
    assert sigma is not None
    return np.asarray(monomials(points) @ sigma.coefficients / sigma.coefficients[0])


def _log(values: Real) -> Real:
    """Return log r; NaN where r is not positive."""
    return np.log(np.where(values > 0, values, np.nan))


def _form_accuracy(form: QuadraticForm, data: Inputs) -> dict[str, Any]:
    """Return what the peers' estimators are asked too: log r at the points, and intervals on the grid."""
    truth, weights = truth_of(data.test), np.asarray(data.test.weights)
    mse, lost = [], 0
    for point in data.points:
        good = np.asarray(form.evaluate(point)) > 0
        lost += int(np.sum(~good))
        mse.append(float(accuracy(form[good], truth[good], weights[good], point[None])["relative_mse"][0]))
    axes = np.eye(len(data.grid))[:, None, :] * data.grid[:, :, None]
    grid = _log(np.asarray(form.evaluate(axes)))
    return {
        "mse": mse,
        "mean_mse": float(np.mean(mse)),
        "non_positive": lost,
        "intervals": _intervals(grid, data),
    }


def _intervals(log_r: Real, data: Inputs) -> list[dict[str, Any]]:
    """Return the intervals of log r (n, G, N) on the grid beside those of the exact ratio."""
    axes = np.eye(len(data.grid))[:, None, :] * data.grid[:, :, None]
    exact = np.log(np.asarray(truth_of(data.test).evaluate(axes)))
    w = np.asarray(data.test.weights) / np.sum(np.asarray(data.test.weights))
    rates = np.asarray(truth_of(data.test).evaluate(axes)) @ w
    rows = []
    for i, name in enumerate(data.test.operators):
        found, true = (
            grid_intervals(
                data.grid[i], 2.0 * EXPECTED * (rates[i] - 1.0 - np.nan_to_num(x[i], nan=-1e3) @ w)
            )
            for x in (log_r, exact)
        )
        half = 0.5 * (true[0.95][1] - true[0.95][0])
        sigma = 0.5 * (true[0.68][1] - true[0.68][0])
        middle = 0.5 * (sum(found[0.95]) - sum(true[0.95]))
        ratio = 0.5 * (found[0.95][1] - found[0.95][0]) / half
        rows.append(
            {
                "operator": name,
                "expected": EXPECTED,
                "lower": found[0.95][0],
                "upper": found[0.95][1],
                "width_ratio": ratio,
                "shift": middle / half,
                "shift_sigma": middle / sigma,
            }
        )
    return rows


def _ours(data: Inputs, settings: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """Return how a method of this package does on the same events."""

    def compute() -> dict[str, Any]:
        estimator = train(data.train, **settings)
        form = estimator(data.test.features).dense()
        cost = {
            "cpu": estimator.metadata["seconds"]["cpu"],
            "epochs": len(estimator.metadata["history"]),
            "replicas": estimator.members,
            "coefficient_count": form.coefficients.shape[-1] - 1,
        }
        sigma = data.test.cross_section
        assert sigma is not None
        slope = monomial_gradient(np.zeros(len(form.operators)))
        score = form.linear - slope @ sigma.coefficients / sigma.coefficients[0]
        result = {**cost, **score_accuracy(score, data.test)}
        if estimator.head.linear_only:
            return result
        terms = [
            term_accuracy(form.coefficients[:, term_index(form.operators, t)], data.test, t) for t in TERMS
        ]
        return {**result, "terms": terms, **_form_accuracy(form, data)}

    return compute
