"""Nested sampling by one process and by two under mpiexec: log Z, means, widths, and wall time.

    python benchmarks/global_fit/mpi.py [--processes 2 --nlive 400] --data FOLDER

The fit is that of benchmarks/smefit_ns.py: 60 binned points and 100,000 unbinned events, six coefficients,
quadratic. Exit code 1 if log Z differs by more than three times its error, a mean by more than five times its
noise, or a width by more than 10 %.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from smefit_ns import card, dataset

from smeft_unbinned import Runcard, sample
from smeft_unbinned.fit.ranks import first


def child(path: Path, seed: int) -> None:
    """Run the fit of a card; the first process writes what is compared."""
    runcard = Runcard.load(path)
    begin = time.perf_counter()
    result = sample(runcard.likelihood(), bounds=runcard.bounds, nlive=runcard.nlive, seed=seed)
    assert result.samples is not None
    if first():
        content = {
            "logz": result.logz,
            "error": result.logz_error,
            "ess": result.provenance["ess"],
            "calls": result.provenance["ncall"],
            "seconds": time.perf_counter() - begin,
            "mean": result.samples.mean().to_dict(),
            "width": result.samples.std().to_dict(),
        }
        path.with_suffix(".json").write_text(json.dumps(content))


def fit(path: Path, processes: int, seed: int) -> dict[str, Any]:
    """Return what the fit of a card gives on a number of processes with one thread each."""
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        raise SystemExit("there is no mpiexec; install mpi4py and an MPI library")
    start = [mpiexec, "-n", str(processes)] if processes > 1 else []
    packages = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(Path(__file__).resolve().parents[2])])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": packages.lstrip(os.pathsep)}
    command = [
        *start,
        sys.executable,
        str(Path(__file__).resolve()),
        "--child",
        str(path),
        "--seed",
        str(seed),
    ]
    subprocess.run(command, check=True, env=environment)
    content: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    print(
        f"{processes} process(es): log Z = {content['logz']:.3f} +- {content['error']:.3f}, "
        f"{content['calls']:,} evaluations, {content['seconds']:.1f} s"
    )
    return content


def main() -> int:
    """Parse the command line, run both and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SMEFT_UNBINNED_DATA"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--nlive", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(".benchmarks"))
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.child, options.seed)
        return 0
    if options.data is None:
        parser.error("give --data or SMEFT_UNBINNED_DATA")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "card.yaml"
        file = dataset(100_000, options.cache)
        path.write_text(yaml.safe_dump(card(file, Path(options.data), Path(folder), options.nlive)))
        one, several = (fit(path, n, options.seed) for n in (1, options.processes))
    table = pd.DataFrame({"mean": one["mean"], f"mean, {options.processes}": several["mean"]})
    table["width"], table[f"width, {options.processes}"] = one["width"], several["width"]
    print(table.to_string(float_format=lambda x: f"{x:.4g}"))
    pulls = (table.iloc[:, 1] - table.iloc[:, 0]) / table["width"]
    noise = float(np.sqrt(1 / one["ess"] + 1 / several["ess"]))
    ratio = table.iloc[:, 3] / table["width"]
    difference = (several["logz"] - one["logz"]) / float(np.hypot(one["error"], several["error"]))
    print(
        f"log Z: {difference:+.2f} errors; means: at most {pulls.abs().max() / noise:.1f} times their noise"
    )
    same = abs(difference) < 3 and pulls.abs().max() < 5 * noise and (ratio - 1).abs().max() < 0.1
    print("agree" if same else "DIFFERENT")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
