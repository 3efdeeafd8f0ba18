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
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from nuisances_inputs import tth_inputs, tth_training, zh_inputs, zh_training

from smeft_unbinned import Likelihood, UnbinnedDataset, export, minimise, train
from smeft_unbinned.systematics import with_responses

LEVELS = {0.68: 0.98894647, 0.95: 3.84145882}
"""Rise of -2 log L at the ends of an interval of one parameter, quantiles of chi2."""
PER_AXIS = {2: 21, 3: 13, 4: 9, 5: 7}
"""Points of the grid along each of the other parameters, by their number."""
STEP = 0.3
"""Steps outwards in units of the error; the first place above the rise ends the interval, as for the fit."""
ROUNDS = 4
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


def lowest(
    function: Callable[[np.ndarray], np.ndarray],
    fixed: dict[int, float],
    centre: np.ndarray,
    width: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Return the smallest value over all parameters but the fixed ones, from grids that close in on it."""
    centre, width = centre.copy(), width.copy()
    for i, value in fixed.items():
        centre[i] = value
    free = [i for i in range(len(centre)) if i not in fixed]
    axis = np.linspace(-1.0, 1.0, PER_AXIS[len(free)])
    mesh = np.array(list(itertools.product(axis, repeat=len(free))))
    for _ in range(ROUNDS):
        points = np.repeat(centre[None], len(mesh), axis=0)
        points[:, free] += mesh * width[free]
        values = function(points)
        best = int(np.argmin(values))
        inside = np.abs(mesh[best]) < 1.0
        centre = points[best]
        width[free] = np.where(inside, 1.5 * width[free] * (axis[1] - axis[0]), width[free])
    return float(values[best]), centre


def by_force(
    likelihood: Likelihood, best: np.ndarray, errors: np.ndarray
) -> dict[float, dict[str, list[float]]]:
    """Return the interval of each coefficient at each level by comparing values."""
    function = likelihood.m2logl
    floor, minimum = lowest(function, {}, best, 0.5 * errors) if len(best) <= 5 else (None, best)
    if floor is None:  # one axis more than a grid can hold: two halves in turn
        floor, minimum = float(function(best)), best
    found: dict[float, dict[str, list[float]]] = {level: {} for level in LEVELS}
    for i, name in enumerate(likelihood.operators):
        for level, rise in LEVELS.items():
            ends = []
            for sign in (-1.0, 1.0):
                inner, outer = 0.0, STEP * errors[i]
                while (
                    lowest(function, {i: minimum[i] + sign * outer}, minimum, 2.0 * errors)[0] < floor + rise
                ):
                    inner, outer = outer, outer + STEP * errors[i]
                for _ in range(10):
                    middle = 0.5 * (inner + outer)
                    low, _ = lowest(function, {i: minimum[i] + sign * middle}, minimum, 2.0 * errors)
                    inner, outer = (middle, outer) if low < floor + rise else (inner, middle)
                ends.append(float(minimum[i] + sign * 0.5 * (inner + outer)))
            found[level][name] = ends
    return found


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
