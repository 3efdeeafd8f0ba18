"""Profiled limits with three nuisances, by derivatives and by brute force: smeared ZH, and the ttH sample.

python benchmarks/engine/nuisances.py [--tth FILE.h5] [--output FILE.json]

Responses D_k(x) and, for ZH, ratios r(x|c) are learned from what the detector sees. Limits at 68 % and 95 %
are those of `minimise` over all parameters, of `minimise` over the likelihood profiled everywhere, and of a
search that only compares values of -2 log L: for every value of a coefficient a grid in all other parameters,
refined around its lowest point, steps outwards in the coefficient, and bisection.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from nuisances_inputs import tth_inputs, tth_training, zh_inputs, zh_training

from smeft_unbinned import Likelihood, UnbinnedDataset, export, minimise, train
from smeft_unbinned.systematics import with_responses

LEVELS = {0.68: 0.98894647, 0.95: 3.84145882}
"""Rise of -2 log L at the ends of an interval of one parameter, quantiles of chi2."""
POINTS = {"operators": 25, "nuisances": 7}
"""Points of the grid along each of the other parameters."""
REACH = {"operators": 6.0, "nuisances": 2.0}
"""Half the first width of the grid in units of the errors: other minima lie along the coefficients."""
STEP = 0.3
"""Steps outwards in units of the error; the first place above the rise ends the interval, as for the fit."""
ROUNDS = 5
EVENTS = 10_000
"""Events of the ZH data: a search by values alone takes millions of evaluations."""


def zh_dataset(seed: int) -> UnbinnedDataset:
    """Return Asimov data of smeared ZH at 300 fb^-1 with learned ratios and responses."""
    inputs = zh_inputs(30_000, seed=seed)
    ratios = train(inputs.events, replicas=3, epochs=15, seed=seed, progress=False)
    events = inputs.events[:EVENTS]
    response = zh_training(inputs, seed=seed)(events.features)
    dataset = export(ratios, events, luminosity=300.0, efficiency=0.02, name="zh")
    return with_responses(dataset, response, events, response).with_luminosity(0.017, "lumi")


def tth_dataset(path: Path, seed: int) -> UnbinnedDataset:
    """Return Asimov data of ttH at 300 fb^-1 with the polynomials of the sample and learned responses."""
    inputs = tth_inputs(path)
    response = tth_training(inputs, seed=seed)(inputs.events.features)
    dataset = export(None, inputs.events, luminosity=300.0, name="tth")
    return with_responses(dataset, response, inputs.events, response)


class Search:
    """The lowest -2 log L for given values of some parameters, found by comparing values on closing grids."""

    def __init__(self, likelihood: Likelihood, best: np.ndarray, errors: np.ndarray) -> None:
        kinds = ["operators"] * len(likelihood.operators) + ["nuisances"] * len(likelihood.nuisances)
        self.function, self.best, self.errors = likelihood.m2logl, best, errors
        self.points = [POINTS[kind] for kind in kinds]
        self.width = np.array([REACH[kind] for kind in kinds]) * errors

    def lowest(self, fixed: dict[int, float]) -> float:
        centre, width = self.best.copy(), self.width.copy()
        for i, value in fixed.items():
            centre[i] = value
        free = [i for i in range(len(centre)) if i not in fixed]
        axes = [np.linspace(-1.0, 1.0, self.points[i]) for i in free]
        step = np.array([axis[1] - axis[0] for axis in axes])
        mesh = np.array(list(itertools.product(*axes)))
        for _ in range(ROUNDS):
            points = np.repeat(centre[None], len(mesh), axis=0)
            points[:, free] += mesh * width[free]
            values = self.function(points)
            best = int(np.argmin(values))
            centre = points[best]
            width[free] *= np.where(np.abs(mesh[best]) < 1.0, 1.5 * step, 1.0)
        return float(values[best])

    def end(self, i: int, sign: float, highest: float) -> float:
        """Return where the lowest -2 log L passes a height first, going out from the best fit."""
        inner, outer = 0.0, STEP * self.errors[i]
        while self.lowest({i: self.best[i] + sign * outer}) < highest:
            inner, outer = outer, outer + STEP * self.errors[i]
        for _ in range(10):
            middle = 0.5 * (inner + outer)
            low = self.lowest({i: self.best[i] + sign * middle})
            inner, outer = (middle, outer) if low < highest else (inner, middle)
        return float(self.best[i] + sign * 0.5 * (inner + outer))


def by_force(
    likelihood: Likelihood, best: np.ndarray, errors: np.ndarray
) -> dict[float, dict[str, list[float]]]:
    """Return the interval of each coefficient at each level by comparing values."""
    search, floor = Search(likelihood, best, errors), float(likelihood.m2logl(best))
    return {
        level: {
            name: [search.end(i, sign, floor + rise) for sign in (-1.0, 1.0)]
            for i, name in enumerate(likelihood.operators)
        }
        for level, rise in LEVELS.items()
    }


def compare(dataset: UnbinnedDataset, fixed: dict[str, float]) -> dict[str, object]:
    """Return the limits of all three ways, and how far they differ in units of the width."""
    likelihood = Likelihood([dataset], fixed=fixed)
    started = time.perf_counter()
    joint = minimise(likelihood)
    seconds = {"joint": time.perf_counter() - started}
    started = time.perf_counter()
    profiled = minimise(likelihood.profiled())
    seconds["profiled"] = time.perf_counter() - started
    without = minimise(Likelihood([dataset], fixed={**fixed, **dict.fromkeys(likelihood.nuisances, 0.0)}))
    best = np.array([joint.best[name] for name in likelihood.parameters])
    errors = np.sqrt(np.diag(joint.covariance.loc[list(likelihood.parameters), list(likelihood.parameters)]))
    started = time.perf_counter()
    force = by_force(likelihood, best, errors)
    seconds["force"] = time.perf_counter() - started
    rows = []
    for level in LEVELS:
        for name in likelihood.operators:
            a, b, c = (r.intervals(level).loc[name].to_numpy(dtype=float) for r in (joint, profiled, without))
            f = np.array(force[level][name])
            width = f[1] - f[0]
            rows.append(
                {
                    "coefficient": name, "level": level, "joint": a.tolist(), "profiled": b.tolist(),
                    "force": f.tolist(), "without nuisances": c.tolist(),
                    "difference of the ends / width": float(np.abs(a - f).max() / width),
                    "profiled - joint / width": float(np.abs(a - b).max() / width),
                    "width / without nuisances": float((a[1] - a[0]) / (c[1] - c[0])),
                }
            )  # fmt: skip
    return {
        "events": len(dataset), "nuisances": list(likelihood.nuisances), "fixed": fixed, "limits": rows,
        "seconds": seconds, "valid": joint.valid and profiled.valid,
        "messages": list(joint.messages),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tth", type=Path, help="MadMiner file of the ttH sample")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="JSON file of the results")
    options = parser.parse_args()
    zh = zh_dataset(options.seed)
    cases = {"ZH, cHW": (zh.restrict(["cHW"]), {}), "ZH, cHW and cHq3": (zh, {"lumi": 0.0})}
    if options.tth is not None:
        tth = tth_dataset(options.tth, options.seed)
        first, second, third = tth.operators
        cases[f"ttH, {first}"] = (tth, {second: 0.0, third: 0.0})
        cases[f"ttH, {first} and {second}"] = (tth, {third: 0.0})
    results = {}
    for name, (dataset, fixed) in cases.items():
        results[name] = result = compare(dataset, fixed)
        print(f"\n{name}: {result['events']} events, {', '.join(result['nuisances'])}; {result['seconds']}")
        print(pd.DataFrame(result["limits"]).to_string(float_format="%.5g"))
        print(*result["messages"], sep="\n", flush=True)
    if options.output is not None:
        options.output.write_text(json.dumps(results, indent=1))
    worst = max(row["difference of the ends / width"] for r in results.values() for row in r["limits"])
    print(f"\nlargest difference: {worst:.2%} of the width")
    return 0 if worst < 0.01 else 1


if __name__ == "__main__":
    sys.exit(main())
