"""The 41 datasets with an unbinned measurement of pp -> ZH: intervals of six shared coefficients.

    python benchmarks/global_fit/with_unbinned.py [--cache FOLDER --events 100000 --minos --output FILE.json]

The unbinned dataset holds SM events of pp -> ZH at 14 TeV (300 fb^-1, BR(Z -> ll) = 6.73 %, BR(H -> bb) =
58.2 %, efficiency 30 %) with the exact ratios in six coefficients; it is generated once and kept in the
folder. Sums over events use all cores (OMP_NUM_THREADS sets another number), linear algebra one.
Timed after loading: the search for minima, the best fit, and profile intervals of the six at 68 % and 95 %,
the other 46 coefficients profiled. With --minos the ends of the intervals around the best minimum alone are
found by MINOS of iminuit too, and compared. Exit code 1 if the fit is not valid, an interval is missing, it
takes 10 s or longer, or MINOS finds other ends.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))
import cards  # noqa: E402
import numpy as np  # noqa: E402
from scipy import stats  # noqa: E402

from smeft_unbinned import Likelihood, Runcard, export, minimise  # noqa: E402
from smeft_unbinned.fit.frames import Scaled  # noqa: E402
from smeft_unbinned.fit.intervals import Branch, around, ends_of  # noqa: E402
from smeft_unbinned.fit.minos import minos_end  # noqa: E402
from smeft_unbinned.processes import vh  # noqa: E402

LIMIT = 10.0
LEVELS = (0.68, 0.95)
SIX = ("OpW", "OpWB", "O3pq", "OpqMi", "Opui", "Opdi")
WARSAW = ("cHW", "cHWB", "cHq1", "cHq3", "cHu", "cHd")
AGREE = 5e-3
"""Difference of ends in units of the error; MINOS stops when -2 log L is right to about 0.01."""


def dataset(cache: Path, events: int, seed: int) -> Path:
    """Return the file of the unbinned dataset, made if it is not there."""
    file = cache / f"zh_{events}_{seed}.safetensors"
    if not file.exists():
        sample = vh.generate(events, operators=WARSAW, seed=seed, unweighted=False)
        exact = export(None, sample, name="ZH", luminosity=300.0, efficiency=0.0673 * 0.582 * 0.3)
        cache.mkdir(parents=True, exist_ok=True)
        exact.in_basis("smefit").save(file)
    return file


def main() -> int:
    """Fit and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=Path("benchmark_cache"))
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minos", action="store_true")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    file = dataset(options.cache, options.events, options.seed)
    begin = time.perf_counter()
    card = cards.card(True, Path("."))
    card["datasets"] = [*card["datasets"], {"name": "ZH", "unbinned": str(file.resolve())}]
    likelihood = Runcard.from_dict(card).likelihood()
    likelihood.m2logl(np.zeros(len(likelihood.parameters)))  # numbers come from the file when they are needed
    loaded = time.perf_counter() - begin
    begin, cpu = time.perf_counter(), time.process_time()
    result = minimise(likelihood, levels=LEVELS, intervals=SIX)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    table = result.table(LEVELS).loc[list(SIX)]
    print(table.to_string(float_format=lambda x: f"{x:10.4g}"))
    print("\n".join(result.messages))
    counts = ", ".join(f"{d.name} {len(d)}" for d in likelihood.datasets)
    print(
        f"{counts}, {len(result.parameters)} coefficients: loaded in {loaded:.1f} s, then fit and intervals "
        f"of {len(SIX)} at {len(LEVELS)} levels in {seconds:.1f} s ({cpu:.1f} s CPU), "
        f"{len(result.minima)} minima"
    )
    failed = {
        "not valid": not result.valid,
        "intervals are missing": bool(table.isna().any(axis=None)),
        f"takes {LIMIT:g} s or longer": seconds >= LIMIT,
    }
    record: dict[str, Any] = {
        "seconds": seconds, "cpu_seconds": cpu, "load_seconds": loaded, "table": table.to_dict("index"),
        "m2logl": result.m2logl, "minima": result.minima["m2logl"].to_list(),
        "messages": list(result.messages),
    }  # fmt: skip
    if options.minos:
        worst, taken, lost = compare(likelihood, result)
        print(
            f"MINOS: {taken:.1f} s for the 24 ends, {lost} not found; the others differ by at most "
            f"{worst:.2g} errors"
        )
        failed["MINOS finds other ends"] = worst > AGREE
        record["minos"] = {"seconds": taken, "largest_difference": worst, "not_found": lost}
    wrong = [text for text, value in failed.items() if value]
    print("all figures as stated" if not wrong else "NOT AS STATED: " + "; ".join(wrong))
    if options.output:
        options.output.write_text(json.dumps({**record, "failed": wrong}, indent=1), encoding="utf-8")
    return 1 if wrong else 0


def compare(likelihood: Likelihood, result: Any) -> tuple[float, float, int]:
    """Return the largest difference of ends in errors, the seconds of MINOS, and how many it misses."""
    names = list(likelihood.parameters)
    function = Scaled(likelihood, result.errors[names].to_numpy())
    branch = Branch.at(function, function.inverse(np.array([result.best[n] for n in names])))
    which, worst, taken, lost = [names.index(n) for n in SIX], 0.0, 0.0, 0
    for level in LEVELS:
        target = branch.value + float(stats.chi2.ppf(level, 1))
        own = ends_of(around(function, branch, which, target)[0], which)
        for k, i in enumerate(which):
            for side, sign in enumerate((-1.0, 1.0)):
                begin = time.perf_counter()
                end = minos_end(function, branch, i, sign, target)
                taken += time.perf_counter() - begin
                if end is None:
                    lost += 1
                else:
                    worst = max(worst, abs(end - own[k, side]))
    return worst, taken, lost


if __name__ == "__main__":
    sys.exit(main())
