"""What all stages share: problems, accuracy against exact ratios, and results kept in JSON files."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import smeft_unbinned
from smeft_unbinned import Events, Likelihood, Polynomial, export
from smeft_unbinned.comparison import compare
from smeft_unbinned.diagnostics import accuracy, coefficient_accuracy
from smeft_unbinned.diagnostics.result import plain
from smeft_unbinned.errors import InputError
from smeft_unbinned.polynomial import QuadraticForm
from smeft_unbinned.processes import toy, ttbar, vh
from smeft_unbinned.storage import make_folder, write_text
from smeft_unbinned.version import __version__

Real = NDArray[np.float64]

SIX = ("cHW", "cHWB", "cHq3", "cHq1", "cHu", "cHd")
TWO = ("cHW", "cHq3")
EXPECTED = (1000, 10_000)
"""Numbers of SM events that the Asimov fits expect."""
POINTS, POINT_SEED = 8, 2024
TEST, ASIMOV = 20_000, 100_000


@dataclass(frozen=True)
class Bench:
    """How a benchmark runs.

    folder: where results are kept. scale: factor on all numbers of events, toys and epochs, 1 for the figures
    of the report. seed: of every random choice. replicas: of the other methods in place of those of the
    problems. redo: stages whose results are made anew. any_code: keep results of other versions of the code.
    """

    folder: Path
    scale: float = 1.0
    seed: int = 1
    replicas: int | None = None
    redo: frozenset[str] = frozenset()
    any_code: bool = False

    def count(self, full: int, least: int = 1) -> int:
        """Return a number scaled, but not below `least` (nor above the full number)."""
        return min(full, max(least, round(self.scale * full)))

    def training(self) -> dict[str, Any]:
        """Return the settings that a small run changes: the number of epochs."""
        return {} if self.scale >= 1 else {"epochs": self.count(60, 2)}


@dataclass(frozen=True)
class Problem:
    """A process with exactly known ratios: events to train on, and replicas of all but the default method."""

    title: str
    operators: tuple[str, ...]
    events: int
    replicas: int
    process: Any
    options: Mapping[str, Any] = field(default_factory=dict)

    def generate(self, n: int, seed: int, **options: Any) -> Events:
        """Return n SM events with truth."""
        events: Events = self.process.generate(
            n, operators=self.operators, seed=seed, **{**self.options, **options}
        )
        return events


_WEIGHTED = {"unweighted": False}
PROBLEMS: dict[str, Problem] = {
    "zh2": Problem("pp → ZH, 14 TeV, 2 coefficients", TWO, 100_000, 4, vh, _WEIGHTED),
    "zh6": Problem("pp → ZH, 14 TeV, 6 coefficients", SIX, 100_000, 1, vh, _WEIGHTED),
    "ttbar": Problem(
        "pp → tt̄, 13 TeV, 3 coefficients", ("ctG", "ctu8", "cQq81"), 50_000, 1, ttbar, _WEIGHTED
    ),
    "toy": Problem("one-dimensional toy", ("theta",), 100_000, 1, toy),
}


@dataclass(frozen=True, eq=False)
class Exact:
    """What methods are compared with on a problem.

    widths: (n,), exact 95 % half-widths at 1,000 events. points: (K, n) from a Gaussian of these widths.
    test, asimov: events that no training sees. intervals: exact ones, of `fit_intervals`; linear: those of
    the ratio without its quadratic terms, empty where nothing would be left.
    """

    problem: Problem
    widths: Real
    points: Real
    test: Events
    asimov: Events
    intervals: pd.DataFrame
    linear: pd.DataFrame


@lru_cache(maxsize=8)
def exact(name: str, scale: float, seed: int) -> Exact:
    """Return the exact answers of a problem, from samples of its own."""
    problem, bench = PROBLEMS[name], Bench(Path(), scale)
    asimov = problem.generate(bench.count(ASIMOV, 2000), seed + 1000)
    test = problem.generate(bench.count(TEST, 1000), seed + 2000)
    form = truth_of(asimov)
    found = fit_intervals(form, asimov)
    linear = fit_intervals(linearised(form), asimov) if np.any(form.linear) else found.iloc[:0]
    widths = half_widths(found, EXPECTED[0], problem.operators)
    unit = np.random.default_rng(POINT_SEED).normal(size=(POINTS, len(problem.operators)))
    return Exact(problem, widths, unit * widths, test, asimov, found, linear)


def half_widths(intervals: pd.DataFrame, expected: int, operators: Iterable[str]) -> Real:
    """Return the 95 % half-widths at so many expected events, (n,)."""
    rows = intervals[(intervals["expected"] == expected) & (intervals["level"] == 0.95)].set_index("operator")
    return np.array([0.5 * (rows["upper"][name] - rows["lower"][name]) for name in operators])


def truth_of(events: Events) -> Polynomial:
    """Return the truth of events that have one."""
    assert events.truth is not None
    return events.truth


def linearised(form: Polynomial) -> Polynomial:
    """Return the form without its quadratic terms."""
    kept = np.zeros(form.coefficients.shape[-1])
    kept[: len(form.operators) + 1] = 1.0
    return Polynomial(form.operators, form.coefficients * kept)


def fit_intervals(form: QuadraticForm, events: Events) -> pd.DataFrame:
    """Return the intervals of one coefficient at a time, for Asimov data at the SM made of the events.

    form: ratios, batch (N,). Where it has no quadratic terms, the expected yield has none either. Columns:
    expected, operator, level, lower, upper, note.
    """
    weights = np.asarray(events.weights)
    frames = []
    for expected in EXPECTED:
        luminosity = expected / (1000.0 * float(weights.sum()))
        rate = truth_of(events).sum(weights) * (1000.0 * luminosity)
        if not np.any(form.dense().coefficients[:, len(form.operators) + 1 :]):
            rate = linearised(rate)
        data = export(lambda features: form, events, rate, luminosity)
        frame = compare({"fit": Likelihood([data])}, form.operators, together=False)
        frames.append(frame.assign(expected=expected)[
            ["expected", "operator", "level", "lower", "upper", "note"]
        ])  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def compared(found: pd.DataFrame, reference: pd.DataFrame) -> list[dict[str, Any]]:
    """Return by expected events and coefficient how 95 % intervals compare with those of a reference.

    width_ratio; shift of the middle in half-widths of the reference, shift_sigma in half-widths of its 68 %
    interval. None where a fit found no interval.
    """
    keys = ["expected", "operator"]
    a = found[found["level"] == 0.95].set_index(keys)
    b = reference[reference["level"] == 0.95].set_index(keys)
    sigma = reference[reference["level"] == 0.68].set_index(keys)
    half = 0.5 * (b["upper"] - b["lower"])
    middle = 0.5 * (a["upper"] + a["lower"] - b["upper"] - b["lower"])
    table = pd.DataFrame(
        {
            "lower": a["lower"],
            "upper": a["upper"],
            "width_ratio": 0.5 * (a["upper"] - a["lower"]) / half,
            "shift": middle / half,
            "shift_sigma": middle / (0.5 * (sigma["upper"] - sigma["lower"])),
        }
    ).loc[list(b.index)]
    rows: list[dict[str, Any]] = plain(table.reset_index())
    return rows


def log_accuracy(form: Polynomial, truth: Polynomial, weights: Real, points: Real) -> dict[str, Any]:
    """Return how well log r is known at points (K, n): MSE over the variance of the exact log r, and more.

    At each point the events with positive ratios (both) count; non_positive is the number of pairs of event
    and point where the estimate is not positive. Weighted.
    """
    errors, lost = [], 0
    for point in points:
        estimate = np.asarray(form.evaluate(point))
        lost += int(np.sum(estimate <= 0))
        good = (estimate > 0) & (np.asarray(truth.evaluate(point)) > 0)
        row = accuracy(form[good], truth[good], weights[good], point[None]).iloc[0]
        errors.append(float(row["relative_mse"]))
    return {
        "mse": errors,
        "mean_mse": float(np.mean(errors)),
        "largest_mse": float(np.max(errors)),
        "non_positive": lost,
        "pairs": len(points) * len(weights),
    }


def measure(ratios: Callable[[pd.DataFrame], QuadraticForm], reference: Exact) -> dict[str, Any]:
    """Return every figure of accuracy of an estimator (frame -> ratios) against exact ratios."""
    test = reference.test
    form, truth = ratios(test.features).dense().align(test.operators).dense(), truth_of(test)
    linear = not np.any(form.coefficients[:, len(form.operators) + 1 :])
    weights = np.asarray(test.weights)
    coefficients = coefficient_accuracy(form, truth, weights)
    if linear:
        coefficients = coefficients[coefficients["kind"] == "linear"]
    found = fit_intervals(ratios(reference.asimov.features).dense(), reference.asimov)
    notes = sorted({str(note) for note in found["note"] if note and "simulated events stand" not in note})
    return {
        "linear_only": linear,
        "log_r": log_accuracy(form, linearised(truth) if linear else truth, weights, reference.points),
        "coefficients": plain(coefficients[["coefficient", "kind", "r2"]]),
        "intervals": compared(found, reference.intervals),
        "intervals_linear": compared(found, reference.linear) if linear else [],
        "notes": notes,
    }


def machine() -> dict[str, Any]:
    """Return what was computed on and with: processor, cores, threads, versions."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "smeft_unbinned": __version__,
    }


@lru_cache(maxsize=1)
def code() -> str:
    """Return a checksum of the package and of these programs, the report and the command line aside."""
    here = Path(__file__).parent
    package = Path(smeft_unbinned.__file__).parent
    skipped = {here / "report.py", here / "tables.py", here / "figures.py", here / "run.py"}
    skipped |= {here / "sections.py", here / "goals.py"}
    digest = hashlib.sha256()
    for root in (package, here):
        for path in sorted(root.rglob("*.py")):
            if path not in skipped and "cli" not in path.parts:
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def cached(
    bench: Bench, stage: str, name: str, settings: Mapping[str, Any], compute: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return what `compute` gives, from the file STAGE/NAME.json if it holds that for the same settings.

    The file is made anew for other settings, for other code unless that is allowed, and where asked for. An
    InputError of `compute` is a result too, {"failed": message}, but is tried again.
    """
    path = bench.folder / stage / f"{name}.json"
    asked = plain({**settings, "scale": bench.scale, "seed": bench.seed})
    if path.exists() and stage not in bench.redo:
        content = json.loads(path.read_text(encoding="utf-8"))
        same = content["settings"] == asked and (bench.any_code or content["code"] == code())
        if same and "failed" not in content["results"]:
            print(f"{stage} {name}: there", flush=True)
            results: dict[str, Any] = content["results"]
            return results
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        results = plain(compute())
    except InputError as error:
        results = {"failed": str(error)}
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    content = {
        "settings": asked, "code": code(), "machine": machine(), "seconds": seconds, "results": results,
    }  # fmt: skip
    make_folder(path.parent)
    write_text(path, json.dumps(content, indent=1) + "\n")
    print(f"{stage} {name}: {seconds['cpu']:.0f} CPU s {results.get('failed', '')}", flush=True)
    return results
