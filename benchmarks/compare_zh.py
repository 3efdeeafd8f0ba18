"""Binned against unbinned: the ZH study with six and with two coefficients, its figures and what it costs.

python benchmarks/compare_zh.py [--folder FOLDER] [--docs docs/comparison.md] [--events 100000]

100,000 events of pp -> ZH at 14 TeV are generated and kept, a network is trained on them, and the data
expected with 300 fb^-1 are read exactly, by the network, and in 10 binnings, with six coefficients and then
with two. Prints the widths of 95 % intervals over the exact ones, with the errors from the statistics of the
simulation, and the time of each step; --docs puts the same into a page, between its two markers. Exit code 1
where a binned version beats the exact one by more than three errors, more bins of a nested series know less,
the comparison with six coefficients takes more than 60 s of a processor, or all of it more than 20 minutes of
a processor, which are 10 of two.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from smeft_unbinned.comparison import ALONE, TOGETHER, Comparison, ComparisonCard, run
from smeft_unbinned.comparison.sample import estimator_of, events_of
from smeft_unbinned.estimators import Estimator

SIX = ["cHW", "cHWB", "cHq1", "cHq3", "cHu", "cHd"]
TWO = ["cHW", "cHq3"]
COMMON: dict[str, Any] = {
    "luminosity": 300,
    "efficiency": 0.0673 * 0.582 * 0.3,
    "contours": "none",
    "seed": 1,
}
ANGLE, BOOST = "cos_theta_star", "y_zh"
SIX_SCHEMES: list[Any] = [
    "rate",
    "stxs",
    {"equal": ["m_zh"], "n": [4, 16, 64]},
    {"optimal": ["m_zh"], "n": 8},
    {"optimal": ["m_zh", ANGLE], "n": 6},
    {"optimal": ["m_zh", ANGLE, BOOST], "n": 6},
    {"score": [2, 3]},
]
"""Ten binnings."""
TWO_SCHEMES: list[Any] = [
    "rate",
    "stxs",
    {"equal": ["m_zh"], "n": [2, 4, 8, 16, 32, 64, 128]},
    {"optimal": ["m_zh"], "n": [2, 4, 8, 16]},
    {"optimal": ["m_zh", ANGLE], "n": [2, 4, 8, 16]},
    {"optimal": ["m_zh", ANGLE, BOOST], "n": [4, 8]},
    {"score": [2, 4, 8, 16]},
]
TRAIN = {"replicas": 5, "epochs": 25, "seed": 1}
BEGIN, END = "<!-- figures of benchmarks/compare_zh.py -->", "<!-- end of figures -->"
ROUNDING = 1e-5


def timed(label: str, seconds: dict[str, tuple[float, float]], function: Any, *arguments: Any) -> Any:
    """Return what a function gives; its wall and processor times go under a label."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    seconds[label] = (time.perf_counter() - wall, time.process_time() - cpu)
    print(f"{label}: {seconds[label][0]:.1f} s, of processors {seconds[label][1]:.1f} s", flush=True)
    return result


def study(folder: Path, events: int) -> tuple[dict[str, Comparison], dict[str, tuple[float, float]]]:
    """Return both comparisons, and the times of all steps."""
    process = {"name": "ZH", "n": events, "seed": 1, "operators": SIX}
    card = {**COMMON, "process": process, "operators": SIX, "schemes": SIX_SCHEMES, "train": TRAIN}
    six = ComparisonCard.from_dict(card, folder)
    seconds: dict[str, tuple[float, float]] = {}
    sample = timed("generating the events", seconds, events_of, six, folder / "six")
    estimator: Estimator = timed("training", seconds, estimator_of, six, sample, folder / "six")
    estimator.save(folder / "zh.model")
    sample.save(folder / "zh.events")
    found = {"six": timed("comparison of six", seconds, lambda: run(six, folder=folder / "six"))}
    timed("figures and tables of six", seconds, found["six"].save, folder / "six")
    card = {**COMMON, "events": "zh.events", "model": "zh.model", "operators": TWO, "schemes": TWO_SCHEMES}
    two = ComparisonCard.from_dict({**card, "contours": "all", "quadratic": "both"}, folder)
    found["two"] = timed("comparison of two", seconds, lambda: run(two, folder=folder / "two"))
    timed("figures and tables of two", seconds, found["two"].save, folder / "two")
    return found, seconds


def failures(found: dict[str, Comparison], seconds: dict[str, tuple[float, float]]) -> list[str]:
    """Return what is not as it should be."""
    result = []
    for name, comparison in found.items():
        gains = comparison.gains[~comparison.gains["version"].isin(["exact", "network"])]
        allowed = 1.0 - ROUNDING - 3.0 * gains["width_error"].fillna(0.0)
        held_out = gains["version"].str.contains(
            "optimal"
        )  # all others have the very events of the exact one
        low = gains[gains["width_ratio"] < np.where(held_out, allowed, 1.0 - ROUNDING)]
        result += [
            f"{name}: {r.version} beats exact for {r.operator}: {r.width_ratio:.4f}" for r in low.itertuples()
        ]
        series = comparison.saturation
        nested = series[~series["family"].str.contains("optimal")]
        for key, rows in nested.groupby(["family", "fit", "terms", "operator"]):
            ratios = rows["width_ratio"].to_numpy()
            if np.any(np.diff(ratios) > ROUNDING):
                result.append(f"{name}: {key} is not monotone: {np.round(ratios, 4)}")
    if seconds["comparison of six"][1] > 60.0:
        result.append(f"the comparison took {seconds['comparison of six'][1]:.0f} s of a processor")
    whole = sum(cpu for step, (_, cpu) in seconds.items() if not step.endswith("two"))
    return [*result, *([f"all of it took {whole:.0f} s of a processor"] if whole > 1200.0 else [])]


def table(comparison: Comparison, fit: str, terms: str) -> str:
    """Return the ratios of widths with their errors, a Markdown table."""
    g = comparison.gains
    part = g[(g["fit"] == fit) & (g["terms"] == terms)]
    operators = list(dict.fromkeys(part["operator"]))
    lines = [f"| Version | bins | {' | '.join(operators)} |", f"|---|---:|{'---:|' * len(operators)}"]
    for version in dict.fromkeys(part["version"]):
        rows = part[part["version"] == version].set_index("operator")
        bins = rows["bins"].iloc[0]
        cells = [_cell(*rows.loc[name, ["width_ratio", "width_error"]]) for name in operators]
        lines.append(f"| {version} | {'' if pd.isna(bins) else bins} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(ratio: float, error: float) -> str:
    if not np.isfinite(ratio):
        return "∞"
    return f"{ratio:.3f}" if error < 5e-4 or np.isnan(error) else f"{ratio:.3f} ± {error:.3f}"


def report(found: dict[str, Comparison], seconds: dict[str, tuple[float, float]], events: int) -> str:
    """Return the section of the page."""
    headings = {ALONE: "one coefficient at a time", TOGETHER: "all together"}
    parts = [
        f"Events: {events:,}, of which {found['six'].about['expected_events']:,.0f} are expected in the data."
    ]
    for name, comparison in found.items():
        for fit, words in headings.items():
            parts += [
                f"**{name.capitalize()} coefficients, {words}, quadratic**",
                table(comparison, fit, "quadratic"),
            ]
    parts += ["**Two coefficients, all together, linear**", table(found["two"], TOGETHER, "linear")]
    rows = "\n".join(f"| {step} | {wall:.0f} | {cpu:.0f} |" for step, (wall, cpu) in seconds.items())
    machine = f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    parts.append(f"| Step | wall, s | processors, s |\n|---|---:|---:|\n{rows}\n\n{machine}.")
    return "\n\n".join(parts)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> int:
    """Run both studies, print and write their figures, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(".benchmarks/compare_zh"))
    parser.add_argument("--docs", type=Path, help="page to put the figures into")
    parser.add_argument("--events", type=int, default=100_000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    found, seconds = study(options.folder, options.events)
    text = report(found, seconds, options.events)
    print(text)
    failed = failures(found, seconds)
    print("all figures in range" if not failed else "OUT OF RANGE:\n" + "\n".join(failed))
    if options.docs is not None:
        page = options.docs.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        after = rest.split(END)[1]
        options.docs.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
