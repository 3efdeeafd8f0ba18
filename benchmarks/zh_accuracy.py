"""Accuracy of a trained pp -> ZH measurement: network intervals over exact ones, with the cost of training.

python benchmarks/zh_accuracy.py [--events 100000 --replicas 10 --out FILE.json]

Trains on weighted SM events at 14 TeV, exports an Asimov sample at the SM (300 fb^-1, BR(Z -> ll) = 6.73 %,
BR(H -> bb) = 58.2 %, efficiency 30 %) with the network's and with the exact ratios, and prints for each
coefficient alone the ratio of 95 % widths and the shift in units of the exact half-width, then the same with
all six profiled, the same for pT(Z) bins of the same events, positivity of r in the prior box, and the CPU
time of the training. Exit code 1 when a figure is outside the stated range.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np

from smeft_unbinned import Likelihood, export, histogram, minimise
from smeft_unbinned.estimators import train
from smeft_unbinned.processes import vh

SIX = ("cHW", "cHWB", "cHq3", "cHq1", "cHu", "cHd")
BOX = 1.0
STXS = (75.0, 150.0, 250.0, 400.0, float("inf"))
FINE = (*range(0, 600, 25), 600.0, 700.0, 800.0, 1000.0, float("inf"))


def compare(network: Likelihood, exact: Likelihood) -> dict[str, tuple[float, float]]:
    """Return by coefficient the ratio of 95 % widths and the shift over the exact half-width."""
    a, b = minimise(network).intervals(0.95), minimise(exact).intervals(0.95)
    out = {}
    for name in a.index:
        half = 0.5 * (b.upper[name] - b.lower[name])
        ratio = (a.upper[name] - a.lower[name]) / (2 * half)
        out[name] = (
            float(ratio),
            float(0.5 * (a.upper[name] + a.lower[name] - b.upper[name] - b.lower[name]) / half),
        )
    return out


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--asimov", type=int, default=100_000)
    parser.add_argument("--replicas", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tail", type=float, default=None)
    parser.add_argument("--unweighted", action="store_true")
    parser.add_argument("--operators", help="train on these too, separated by commas; default the six")
    parser.add_argument("--set", nargs="*", default=[], help="training settings, name=value")
    parser.add_argument("--out")
    options = parser.parse_args()
    settings = {k: json.loads(v) for k, v in (s.split("=") for s in options.set)}
    more = {} if options.tail is None else {"tail": options.tail}
    trained = tuple(options.operators.split(",")) if options.operators else SIX
    events = vh.generate(
        options.events, operators=trained, seed=options.seed, unweighted=options.unweighted, **more
    )
    start, cpu = time.perf_counter(), time.process_time()
    estimator = train(events, replicas=options.replicas, seed=options.seed, progress=True, **settings)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    history = estimator.metadata["history"]
    print(
        f"training: {cpu:.0f} CPU s, {wall:.0f} s wall, {len(history)} epochs, "
        f"held-out loss {np.mean(estimator.metadata['best_validation']):.3g}"
    )
    observed = vh.generate(
        options.asimov, operators=trained, seed=options.seed + 1000, unweighted=False, **more
    )
    common = {"luminosity": 300.0, "efficiency": 0.0673 * 0.582 * 0.3}
    learned = export(estimator, observed, name="network", **common).restrict(SIX)
    exact = export(None, observed, name="exact", **common).restrict(SIX)
    print(f"expected events: {float(exact.expected.constant):.0f}")
    report = {"cpu_s": cpu, "wall_s": wall, "alone": {}, "together": {}}
    network, truth = Likelihood([learned]), Likelihood([exact])
    for name in SIX:
        report["alone"] |= compare(network.only([name]), truth.only([name]))
    report["together"] = compare(network, truth)
    for kind in ("alone", "together"):
        for name, (ratio, shift) in report[kind].items():
            print(f"{kind:9s} {name:5s} width ratio {ratio:.3f}  shift {shift:+.3f}")
    identity = np.repeat(np.eye(len(trained) + 1)[None], estimator.members, axis=0)
    raw = Likelihood([export(estimator.calibrated(identity), observed, name="raw", **common).restrict(SIX)])
    report["uncalibrated"] = {name: compare(raw.only([name]), truth.only([name]))[name] for name in SIX}
    shifts = "  ".join(f"{name} {shift:+.3f}" for name, (_, shift) in report["uncalibrated"].items())
    print(f"shifts without calibration: {shifts}")
    scale = 1000.0 * common["luminosity"] * common["efficiency"]
    for label, bins in (("STXS", STXS), ("fine", FINE)):
        binned = Likelihood([histogram(label, observed, {"pt_z": bins}, scale)])
        report[label] = {name: compare(binned.only([name]), truth.only([name]))[name] for name in SIX}
        widths = "  ".join(f"{name} {ratio:.3f}" for name, (ratio, _) in report[label].items())
        print(f"{label} pT(Z) bins over exact: {widths}")
    rng = np.random.default_rng(options.seed)
    smallest = min(
        float(learned.ratios.evaluate(rng.uniform(-BOX, BOX, (50, len(SIX)))).min()) for _ in range(20)
    )
    report["smallest_r"] = smallest
    print(f"smallest r over {len(learned)} events and 1,000 points in [-{BOX:g}, {BOX:g}]^6: {smallest:.3g}")
    report["failed"] = failures(report)
    print("all figures in range" if not report["failed"] else "OUT OF RANGE: " + "; ".join(report["failed"]))
    if options.out:
        with open(options.out, "w") as stream:
            json.dump(report, stream, indent=1)
    return 1 if report["failed"] else 0


def failures(report: dict) -> list[str]:
    """Return the figures that are outside their stated range."""
    failed = [
        f"{n} alone {r:.3f} {s:+.3f}"
        for n, (r, s) in report["alone"].items()
        if abs(r - 1) > 0.03 or abs(s) > 0.05
    ]
    failed += [f"{n} together {r:.3f}" for n, (r, _) in report["together"].items() if abs(r - 1) > 0.1]
    binned = [(label, n, r) for label in ("STXS", "fine") for n, (r, _) in report[label].items()]
    failed += [f"{label} bins narrower than exact for {n}: {r:.4f}" for label, n, r in binned if r < 0.999]
    failed += ["r not positive"] if report["smallest_r"] <= 0 else []
    failed += [f"training took {report['cpu_s']:.0f} CPU s"] if report["cpu_s"] > 300 else []
    return failed


if __name__ == "__main__":
    sys.exit(main())
