"""Compression of a million ZH events with two and with six coefficients: size, certificate and fits.

python benchmarks/engine/compression.py [--events 1000000] [--luminosity 3000] [--toy-luminosity 100000]
    [--output compression.json]

Asimov data of exact pp -> ZH events at 14 TeV, the whole sample weighted to the luminosity (fb^-1) with the
efficiency of the demonstration, and a toy, whose events count one each, of a luminosity at which hundreds of
thousands are expected. The fits before and after are best fit and 95 % profile intervals; the change of their
ends and of the best fit is given relative to the width. The ends are found in another way too, as the largest
and smallest value of each coefficient under a constraint on -2 log L: `shift_of_constrained_limits`.

One thread. Exit code 1 where the factor is below 100 (Asimov data), |change of -2 log L| above 0.05, or a fit
has moved by 1e-3 of a width.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # after the thread limits
from scipy import stats

from smeft_unbinned import Likelihood, UnbinnedDataset, export, minimise
from smeft_unbinned.compress import compress
from smeft_unbinned.compress.region import bottoms, explore, principal_axes, scales, values
from smeft_unbinned.compress.tips import extreme
from smeft_unbinned.demo import EFFICIENCY, OPERATORS
from smeft_unbinned.processes import vh
from smeft_unbinned.storage import write_text

CHOICES = {"two": ("cHW", "cHq3"), "six": OPERATORS}
FACTOR, CHANGE, SHIFT = 100.0, 0.05, 1e-3


def fitted(dataset: UnbinnedDataset) -> tuple[Any, Any, float]:
    """Return best fit, 95 % intervals, and the time of both in seconds."""
    start = time.perf_counter()
    result = minimise(Likelihood([dataset]), levels=(0.95,))
    return result.best, result.intervals(0.95), time.perf_counter() - start


def measure(dataset: UnbinnedDataset, seed: int) -> dict[str, Any]:
    """Compress a dataset and return what came out, with the fits before and after."""
    start = time.perf_counter()
    small = compress(dataset, seed=seed, progress=True)
    seconds = time.perf_counter() - start
    best, interval, slow = fitted(dataset)
    new_best, new_interval, fast = fitted(small)
    width = interval["upper"] - interval["lower"]
    record = small.metadata["compression"]
    ends = constrained(dataset, small, seed)
    moved = {key: abs(a - b) / width[key.split()[0]] for key, (a, b) in ends.items()}
    return {
        "events_before": len(dataset),
        "events_after": len(small),
        "factor": len(dataset) / len(small),
        "expected_events": float(dataset.expected.constant),
        "certificate": record["certificate"],
        "shift_of_best_fit": max(abs(new_best[name] - best[name]) / width[name] for name in width.index),
        "shift_of_limits": float((new_interval - interval).div(width, axis=0).abs().to_numpy().max()),
        "constrained_limits": ends,
        "shift_of_constrained_limits": max(moved.values()),
        "compression_seconds": seconds,
        "fit_seconds": {"before": slow, "after": fast},
    }


def constrained(full: UnbinnedDataset, small: UnbinnedDataset, seed: int) -> dict[str, tuple[float, float]]:
    """Return upper and lower limits, by coefficient and side: all events, compressed."""
    cheap, function = Likelihood([small]), Likelihood([full])
    scale, threshold = scales(cheap), float(stats.chi2.ppf(0.95, 1))
    region = explore(cheap, scale, 2 * threshold, 2000, np.random.default_rng(seed))
    heights = values(cheap, region.points) - region.lowest
    inside = region.points[heights < threshold]
    best = region.best[0]
    lowest = float(values(function, bottoms(function, scale, region.best)).min())
    axes = scale[:, None] * principal_axes(region.points / scale)
    ends = {}
    for i, name in enumerate(full.operators):
        for sign, side in ((1.0, "upper"), (-1.0, "lower")):
            start = inside[np.argmax(sign * inside[:, i])]
            new = extreme(cheap, axes, best, start, i, sign, region.lowest + threshold)
            old = extreme(function, axes, best, new, i, sign, lowest + threshold)
            new = extreme(cheap, axes, best, old, i, sign, region.lowest + threshold)
            ends[f"{name} {side}"] = float(old[i]), float(new[i])
    return ends


def passes(result: dict[str, Any]) -> bool:
    """Return whether a result meets the figures; toys have fewer events to begin with."""
    small_enough = result["data"] == "toy" or result["factor"] >= FACTOR
    shift = max(value for key, value in result.items() if key.startswith("shift"))
    return bool(small_enough and result["certificate"]["largest"] < CHANGE and shift < SHIFT)


def main(arguments: list[str] | None = None) -> int:
    """Run all, print one line each, write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--luminosity", type=float, default=3000.0)
    parser.add_argument("--toy-luminosity", type=float, default=100_000.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--choices", nargs="+", choices=list(CHOICES), default=list(CHOICES))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    results = []
    for choice in options.choices:
        events = vh.generate(
            options.events, operators=CHOICES[choice], seed=options.seed, unweighted=False, progress=True
        )
        for data, luminosity in (("asimov", options.luminosity), ("toy", options.toy_luminosity)):
            dataset = export(
                None,
                events,
                luminosity=luminosity,
                efficiency=EFFICIENCY,
                pseudo_data=data,
                seed=options.seed,
            )
            result = {"coefficients": len(CHOICES[choice]), "data": data, "luminosity_fb-1": luminosity}
            result |= measure(dataset, options.seed)
            results.append(result | {"passes": passes(result)})
            certificate = result["certificate"]
            print(
                f"{choice} coefficients, {data}, {luminosity:g} fb^-1: {result['events_before']:,} -> "
                f"{result['events_after']:,} events ({result['factor']:.0f} times fewer), largest |change| "
                f"{certificate['largest']:.2g} ({certificate['converged']}/{certificate['starts']} searches "
                f"converged), best fit moved by {result['shift_of_best_fit']:.1g} and limits by "
                f"{result['shift_of_limits']:.1g} (by a search under a constraint "
                f"{result['shift_of_constrained_limits']:.1g}) of the width; "
                f"{result['compression_seconds']:.0f} s, fit "
                f"{result['fit_seconds']['before']:.1f} -> {result['fit_seconds']['after']:.2f} s",
                flush=True,
            )
    if options.output:
        write_text(options.output, json.dumps(results, indent=1) + "\n")
    return 0 if all(result["passes"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
