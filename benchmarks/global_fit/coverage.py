"""Coverage of 68 % and 95 % intervals in a fit of binned and unbinned data together.

    python benchmarks/global_fit/coverage.py --toys 1000

Five binned top and Higgs datasets of SMEFiT's database and unbinned ZH events, with quadratic terms; every
toy fluctuates all of them, and is fitted with each coefficient profiled. At the SM and at a point one
expected error away from it in each coefficient. Exit code 1 if a coverage is so far off by chance with a
probability below 0.1 % once the number of entries is taken into account, or if more than 1 % of the fits do
not converge.

Free are three coefficients of which the expected -2 log L is about a parabola, as Wilks' theorem asks. They
were chosen after a run with OpG, whose 68 % intervals covered 63 % at the SM: the expectation has a second
minimum there, 10 above the lowest. OtZ and O81qq are ruled by their squared terms. With --all these three are
free too, and coverage need not be nominal.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from smefit_ns import DATASETS, RANGES

from smeft_unbinned import GaussianDataset, Likelihood, export
from smeft_unbinned.processes import vh
from smeft_unbinned.statistics import coverage, fisher

OPERATORS = ("cHW", "cHq3", "cHu")
"""Of the ZH events, Warsaw names; cHW and cHq3 are OpW and O3pq of the binned data up to a factor."""
WELL = ("OtG", "O3pq", "OpW")
"""Coefficients with one minimum, whose squared terms are small within their errors."""
CHANCE, LOST = 1e-3, 0.01


def likelihood(
    data: Path, events: int, luminosity: float, seed: int, names: Sequence[str] = WELL
) -> Likelihood:
    """Return the likelihood of the five binned datasets and of the expectation of the ZH events."""
    binned = GaussianDataset.load(
        DATASETS, data_path=data / "commondata", theory_path=data / "theory", use_t0=True,
        operators=list(names),
    )  # fmt: skip
    sample = vh.generate(events, operators=OPERATORS, seed=seed, pt_min=75.0)
    unbinned = export(None, sample, name="zh", luminosity=luminosity, pseudo_data="asimov").in_basis("smefit")
    keep = [name for name in unbinned.operators if name in names]
    return Likelihood([binned, unbinned.restrict(keep)], list(names))


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SMEFT_UNBINNED_DATA"))
    parser.add_argument("--toys", type=int, default=1000)
    parser.add_argument("--events", type=int, default=100_000, help="simulated ZH events")
    parser.add_argument("--expected", type=float, default=3000.0, help="ZH events of one toy")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="free all six coefficients")
    parser.add_argument("--keep", type=Path, help="folder to keep the toys in; goes on where it was stopped")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give --data or SMEFT_UNBINNED_DATA")
    database = Path(arguments.data) / "smefit_database"
    names = list(RANGES) if arguments.all else list(WELL)
    one = likelihood(database, 1000, 1.0, arguments.seed, names)
    per_fb = float(one.datasets[1].weights.sum())  # type: ignore[attr-defined]
    whole = likelihood(database, arguments.events, arguments.expected / per_fb, arguments.seed, names)
    errors = fisher(whole).errors["marginal"]
    print(errors.to_string(), "\n")
    points: dict[str, dict[str, float]] = {
        "SM": {},
        "off": {n: float(x) * (-1.0) ** i for i, (n, x) in enumerate(errors.items())},
    }
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        for name, point in points.items():
            start = time.perf_counter()
            found = coverage(
                whole, point, arguments.toys, seed=arguments.seed, folder=folder / name, progress=True
            )
            seconds = time.perf_counter() - start
            print(f"at {name}: {seconds:.0f} s, {seconds / arguments.toys:.3f} s per toy")
            print(found.table.to_string(float_format=lambda x: f"{x:.4g}"))
            print(found.pulls.to_string(float_format=lambda x: f"{x:.3g}"))
            print("\n".join(found.messages), "\n")
            lost = 1.0 - float(np.mean(found.toys["converged"]))
            failed |= bool(found.table["p"].min() < CHANCE / len(found.table)) or lost > LOST
    print("FAILED" if failed else "covered")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
