"""Compare what ml4eft_zh.py and madminer_zh.py wrote with the exact ratios of the test events.

python benchmarks/peers/peer_accuracy.py FOLDER OUTPUT [--json FILE]

Prints, with the event weights: for a term of ML4EFT R^2 of the predicted coefficient and, where a
coefficient has its linear and its quadratic term (and with all terms at all points), the mean squared error
of log r over the variance of the exact log r; for MadMiner the same of the score and of the log ratio of
normalised densities. Errors include an offset of log r; the figure "shape" leaves the weighted mean out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from make_inputs import monomial, terms
from numpy.typing import NDArray

from smeft_unbinned.polynomial import monomial_gradient, monomials
from smeft_unbinned.storage import write_text

Real = NDArray[np.float64]
ALONE = (-1.0, -0.5, 0.5, 1.0)
"""Points of one coefficient alone, in standard deviations of the prior."""


def errors(predicted: Real, exact: Real, weights: Real) -> dict[str, float]:
    """Return weighted MSE over variance of the exact values, with and without the mean error; all (N,)."""
    w = weights / weights.sum()
    variance = float(w @ (exact - w @ exact) ** 2)
    difference = predicted - exact
    mse = float(w @ difference**2)
    return {"mse": mse / variance, "shape": (mse - float(w @ difference) ** 2) / variance}


def ml4eft(test: dict[str, Any], folder: Path, output: Path) -> dict[str, Any]:
    """Return cost and accuracy of every trained term, and of log r where the terms suffice."""
    operators = tuple(test["operators"].tolist())
    report: dict[str, Any] = {}
    learned = np.zeros_like(test["truth"])
    learned[:, 0] = 1.0
    found: set[int] = set()
    for name, (first, second) in terms(operators).items():
        path = output / f"ml4eft_{name}.npz"
        if first is None or not path.exists():
            continue
        index = monomial(operators, first, second)
        found.add(index)
        with np.load(path) as data:
            learned[:, index] = data["predicted"]
            figures = errors(data["predicted"], test["truth"][:, index], test["weights"])
            report[name] = {
                "r_squared": 1.0 - figures["mse"],
                "cpu_s": float(data["cpu_seconds"]),
                "epochs": int(data["epochs"]),
                "best_epoch": int(data["best_epoch"]),
            }
    widths, points = np.load(folder / "widths.npy"), {}
    for i, name in enumerate(operators):
        if {monomial(operators, name), monomial(operators, name, name)} <= found:
            for size in ALONE:
                points[f"{name}={size * widths[i]:g}"] = size * widths[i] * np.eye(len(operators))[i]
    if len(found) == test["truth"].shape[1] - 1:
        points |= {f"point {i}": p for i, p in enumerate(np.load(folder / "points.npy"))}
    report["log_r"] = {}
    for name, point in points.items():
        ratio = learned @ monomials(point)
        positive = ratio > 0.0
        exact = np.log(test["truth"] @ monomials(point))[positive]
        figures = errors(np.log(ratio[positive]), exact, test["weights"][positive])
        report["log_r"][name] = figures | {"not_positive": int(np.sum(~positive))}
    return report


def madminer(test: dict[str, Any], folder: Path, output: Path) -> dict[str, Any]:
    """Return cost and accuracy of every method found."""
    report: dict[str, Any] = {}
    points = np.load(folder / "points.npy")
    values = monomials(points)
    exact = np.log(values @ test["truth"].T / (values @ test["cross_section"])[:, None])
    exact += np.log(test["cross_section"][0])
    gradients = monomial_gradient(np.zeros(points.shape[1]))
    score = test["truth"] @ gradients.T - gradients @ test["cross_section"] / test["cross_section"][0]
    for method in ("sally", "alice", "alices"):
        path = output / f"madminer_{method}.npz"
        if not path.exists():
            continue
        with np.load(path) as data:
            if method == "sally":
                pairs = zip(test["operators"].tolist(), data["score"].T, score.T, strict=True)
            else:
                names = [f"point {i}" for i in range(len(points))]
                pairs = zip(names, data["log_r"], exact, strict=True)
            figures = {name: errors(p, e, test["weights"]) for name, p, e in pairs}
            report[method] = figures | {"cpu_s": float(data["cpu_seconds"]), "epochs": int(data["epochs"])}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with np.load(options.folder / "test.npz") as data:
        test = dict(data)
    report = {
        "ml4eft": ml4eft(test, options.folder, options.output),
        "madminer": madminer(test, options.folder, options.output),
    }
    for package, figures in report.items():
        for name, figure in figures.items():
            print(package, name)
            for key, value in figure.items():
                print(f"    {key}: {json.dumps(value)}")
    if options.json:
        write_text(options.json, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
