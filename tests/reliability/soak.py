"""Work over and over in one process: `python soak.py calls NUMBER` or `soak.py cycles NUMBER FOLDER`.

Prints as JSON the resident memory in MB after a tenth of the work, when all caches are warm, and at the end.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from smeft_unbinned import Likelihood, Runcard, minimise
from smeft_unbinned.testing import toy_dataset

OPERATORS = ("cHW", "cHq3")


def resident() -> float:
    """Return the resident memory of this process in MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def calls() -> Callable[[int], None]:
    """Return a call of -2 log L at a new point, every tenth with its derivatives."""
    likelihood = Likelihood([toy_dataset(OPERATORS, "warsaw", events=100)])
    points = np.random.default_rng(0).normal(scale=0.1, size=(1000, len(OPERATORS)))

    def one(k: int) -> None:
        c = points[k % len(points)]
        likelihood.m2logl(c)
        if not k % 10:
            likelihood.gradient(c)
            likelihood.hessian(c)

    return one


def cycles(folder: Path) -> Callable[[int], None]:
    """Return a fit from its files to its file: card, two datasets, minimum, intervals, result."""
    for k, name in enumerate(("a", "b")):
        toy_dataset(OPERATORS, "warsaw", events=200 + k).save(folder / f"{name}.dataset")
    card = folder / "card.yaml"
    card.write_text(
        "basis: warsaw\n"
        "datasets:\n  - {name: a, unbinned: a.dataset}\n  - {name: b, unbinned: b.dataset}\n"
        "coefficients:\n" + "".join(f"  {name}: {{min: -3, max: 3}}\n" for name in OPERATORS)
    )

    def one(k: int) -> None:
        minimise(Runcard.load(card).likelihood(), levels=(0.95,), starts=1).save(folder / "result.json")

    return one


def main() -> None:
    work = calls() if sys.argv[1] == "calls" else cycles(Path(sys.argv[3]))
    number, warm = int(sys.argv[2]), 0.0
    for k in range(number):
        work(k)
        if k == number // 10:
            warm = resident()
    sys.stdout.write(json.dumps({"warm": warm, "end": resident()}) + "\n")


if __name__ == "__main__":
    main()
