"""The quadratic fit of the 41 datasets in all 52 coefficients: best fit, intervals, and all minima.

    python benchmarks/global_fit/quadratic.py [--starts 20 --seed 1 --output FILE.json]

One thread. First the fit from a cold start, timed from the import of the package on: loading, the search for
minima with the systematic starts alone, covariance, and profile intervals of all coefficients at 68 % and
95 %. Then a fit with random starts besides, whose list of minima has to hold the end of each of them. Exit
code 1 if the fit is not valid, an interval is missing, it takes 60 s or longer, a random start ends lower, or
one ends in no minimum of the list.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))
import cards  # noqa: E402

LIMIT = 60.0
LEVELS = (0.68, 0.95)


def main() -> int:
    """Run both parts and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()

    begin, cpu = time.perf_counter(), time.process_time()
    from smeft_unbinned import Runcard, minimise

    imported = time.perf_counter() - begin
    likelihood = Runcard.from_dict(cards.card(True, Path("."))).likelihood()
    loaded = time.perf_counter() - begin
    result = minimise(likelihood, levels=LEVELS)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    print(result.table(LEVELS).to_string(float_format=lambda x: f"{x:10.4g}"))
    print("\n".join(result.messages))
    points = sum(len(d) for d in likelihood.datasets)
    print(
        f"{points} points, {len(result.parameters)} coefficients: import {imported:.1f} s, loaded after "
        f"{loaded:.1f} s, errors and intervals after {seconds:.1f} s ({cpu:.1f} s CPU); "
        f"-2 log L = {result.m2logl:.6f}, {len(result.minima)} minima from systematic starts"
    )
    begin = time.perf_counter()
    more = minimise(likelihood, starts=options.starts, seed=options.seed, intervals=False)
    listed = time.perf_counter() - begin
    ends, taken = random_ends(likelihood, result, more, options.starts, options.seed)
    for end in ends:
        print(
            f"start {end['start']:2d}: -2 log L {end['from']:12.4g} -> {end['m2logl']:12.6f}, "
            f"minimum {end['minimum']}"
        )
    best = sum(e["m2logl"] < result.m2logl + 1e-4 for e in ends)
    print(f"{len(ends)} random starts in {taken:.1f} s, {best} of them at the height of the best minimum")
    heights = ", ".join(f"{x:.4f}" for x in more.minima["m2logl"])
    print(f"with as many random starts minimise lists {len(more.minima)} minima in {listed:.1f} s: {heights}")
    missing = [n for f in result.stored_intervals.values() for n in f.index[f.isna().any(axis=1)]]
    failed = {
        "not valid": not result.valid,
        "intervals are missing": bool(missing),
        f"takes {LIMIT:g} s or longer": seconds >= LIMIT,
        "a random start ends lower than the fit": any(e["m2logl"] < result.m2logl - 1e-4 for e in ends),
        "a random start ends in no minimum of the list": any(e["minimum"] is None for e in ends),
        "random starts find a lower minimum": more.m2logl < result.m2logl - 1e-4,
    }
    wrong = [text for text, value in failed.items() if value]
    print("all figures as stated" if not wrong else "NOT AS STATED: " + "; ".join(wrong))
    if options.output:
        record = {
            "seconds": seconds, "cpu_seconds": cpu, "import_seconds": imported,
            "load_seconds": loaded - imported, "points": points, "m2logl": result.m2logl,
            "minima": result.minima.to_dict("list"),
            "table": result.table(LEVELS).to_dict("index"), "messages": list(result.messages),
            "random_starts": ends, "random_seconds": taken, "list_seconds": listed,
            "list": more.minima.to_dict("list"), "failed": wrong,
        }  # fmt: skip
        options.output.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return 1 if wrong else 0


def random_ends(
    likelihood: Any, result: Any, more: Any, starts: int, seed: int
) -> tuple[list[dict[str, Any]], float]:
    """Return where random starts around the best fit end in the list of `more`, and the seconds for all."""
    import numpy as np

    from smeft_unbinned.fit.frames import eigenbasis
    from smeft_unbinned.fit.minima import joined, random_starts
    from smeft_unbinned.fit.scales import scales
    from smeft_unbinned.fit.trust import descend_all

    names = list(likelihood.parameters)
    known, best = more.minima[names].to_numpy(), result.minima[names].to_numpy()[0]
    begin = time.perf_counter()
    scale = scales(likelihood, np.zeros(len(names)))  # as minimise has them, so that these are its starts
    frame = eigenbasis(likelihood, best, scale)
    points = random_starts(frame, starts, np.random.default_rng(seed))
    found = descend_all(frame, frame.inverse(points))
    taken = time.perf_counter() - begin
    ends = []
    for k, (c, value) in enumerate(zip(frame.point(found.points), found.values, strict=True)):
        near = np.flatnonzero(np.abs(more.minima["m2logl"] - value) < 1e-4)
        same = [int(j) for j in near if joined(likelihood, scale, c, known[j])]
        ends.append(
            {
                "start": k, "from": float(likelihood.m2logl(points[k])), "m2logl": float(value),
                "minimum": same[0] if same and found.converged[k] else None,
            }
        )  # fmt: skip
    return ends, taken


if __name__ == "__main__":
    sys.exit(main())
