"""The exact linear fit of the 41 datasets in all coefficients that they constrain, by us and by SMEFiT.

    python benchmarks/global_fit/linear.py --smefit-python ENV/bin/python [--import-time]

Both sides run their command line in a process of its own, with one thread: `smeft-unbinned fit CARD --method
linear` and `smefit A CARD`, start-up, loading, solution, as many samples and all result files included.
SMEFiT's best fit and covariance are recomputed in a process of its own from the objects that it loads, since
its results hold samples only; its printed best fit must be the same.

The numerical accuracy of both is measured against a solution of the same normal equations with 50 digits
(mpmath), from the data, linear theory and covariance that we load. Differences are in units of the standard
deviations. Exit code 1 if best fits or covariances differ by more than 10^-6 and more than twice SMEFiT's own
distance from the solution with 50 digits, or if ours is not at least five times faster.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))
import cards

TOLERANCE, RATIO = 1e-6, 5.0
OURS = "from smeft_unbinned.cli import main; main()"
THEIRS = "from smefit.cli import base_command; base_command()"
DUMP = """
import sys, yaml, numpy
import jax
jax.config.update("jax_enable_x64", True)
from smefit.optimize.analytic import ALOptimizer
from smefit.analyze.pca import impose_constrain
problem = ALOptimizer.from_dict(yaml.safe_load(open(sys.argv[1])))
data, names = problem.loaded_datasets, list(problem.coefficients.free_parameters.index)
rows = numpy.asarray(impose_constrain(data, problem.coefficients))
weighted = rows @ numpy.asarray(data.InvCovMat)
covariance = numpy.linalg.inv(weighted @ rows.T)
best = covariance @ weighted @ (numpy.asarray(data.Commondata) - numpy.asarray(data.SMTheory))
numpy.savez(sys.argv[2], names=names, best=best, covariance=covariance)
"""
"""What SMEFiT's analytic solution does, in its own process and with its own objects."""
DIGITS = 50


def environment() -> dict[str, str]:
    """Return that of a process with one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    flags = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, **threads, **flags, "PYTHONPATH": root}


def timed(command: list[str], folder: Path) -> float:
    """Run a command and return its wall-clock seconds; raise RuntimeError with its output if it fails."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{command[:3]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return seconds


def reference(path: Path, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return best fit (p,) and covariance (p, p) of a linear card by mpmath, in the order of names."""
    from mpmath import mp

    from smeft_unbinned import GaussianDataset, Runcard

    mp.dps = DIGITS
    (d,) = Runcard.load(path).load_datasets()
    assert isinstance(d, GaussianDataset)
    n, p = len(d), len(names)
    linear = np.asarray(d.theory.linear)[:, [d.operators.index(x) for x in names]]
    columns = np.column_stack([linear, d.data]).tolist()
    sm = np.asarray(d.theory.constant).tolist()
    factor = [[mp.mpf(x) for x in row[: i + 1]] for i, row in enumerate(d.covariance.tolist())]
    white: list[list[Any]] = []
    for i in range(n):  # Cholesky's factor of the covariance, row by row, and the whitened rows with it
        for j in range(i):
            factor[i][j] = (factor[i][j] - mp.fdot(factor[i][:j], factor[j][:j])) / factor[j][j]
        factor[i][i] = mp.sqrt(factor[i][i] - mp.fdot(factor[i][:i], factor[i][:i]))
        row = [mp.mpf(x) for x in columns[i]]
        row[p] -= mp.mpf(sm[i])
        above = factor[i][:i]
        white.append([(row[k] - mp.fdot(above, [w[k] for w in white])) / factor[i][i] for k in range(p + 1)])
    a = mp.matrix([w[:p] for w in white])
    r = mp.matrix([[w[p]] for w in white])
    covariance = (a.T * a) ** -1
    best = covariance * (a.T * r)
    return (
        np.array([float(x) for x in best]),
        np.array([[float(covariance[i, j]) for j in range(p)] for i in range(p)]),
    )


def distance(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], sigma: np.ndarray
) -> tuple[float, float]:
    """Return the largest difference of best fits in sigma, and of covariances in the product of sigmas."""
    best = float(np.max(np.abs(a[0] - b[0]) / sigma))
    return best, float(np.max(np.abs(a[1] - b[1]) / np.outer(sigma, sigma)))


def own(folder: Path, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return best fit and covariance of the file that our command wrote."""
    from smeft_unbinned import FitResult

    result = FitResult.load(folder / "fit_result.json")
    order = result.covariance.loc[names, names].to_numpy()
    return np.array([result.best[n] for n in names]), order


def import_time() -> None:
    """Print how long our imports take, and the packages that take longest by themselves."""
    command = [sys.executable, "-X", "importtime", "-c", "import smeft_unbinned.cli.fit"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    line = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)")
    packages: dict[str, float] = {}
    for match in line.finditer(done.stderr):
        package = match.group(4).split(".")[0]
        packages[package] = packages.get(package, 0.0) + int(match.group(1)) / 1e6
    print(f"imports of the command: {sum(packages.values()):.2f} s, of which")
    for package, seconds in sorted(packages.items(), key=lambda item: -item[1])[:8]:
        print(f"  {package:16s} {seconds:.2f} s")


def main() -> int:
    """Run the comparison and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--smefit-python", type=Path, required=True, help="python of SMEFiT's environment")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each side; the median time counts")
    parser.add_argument("--import-time", action="store_true", help="say what dominates our start-up")
    arguments = parser.parse_args()
    theirs = str(arguments.smefit_python.absolute())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for side in ("ours", "theirs"):
            card = {**cards.card(False, folder, n_samples=arguments.samples), "result_ID": side}
            (folder / f"{side}.yaml").write_text(yaml.safe_dump(card))
        ours = [sys.executable, "-c", OURS, "fit", str(folder / "ours.yaml"), "--method", "linear"]
        times = {
            "ours": [timed(ours, folder) for _ in range(arguments.repeat)],
            "theirs": [
                timed([theirs, "-c", THEIRS, "A", str(folder / "theirs.yaml")], folder)
                for _ in range(arguments.repeat)
            ],
        }
        timed([theirs, "-c", DUMP, str(folder / "theirs.yaml"), str(folder / "dump.npz")], folder)
        dump = np.load(folder / "dump.npz")
        names = [str(n) for n in dump["names"]]
        written = json.loads((folder / "theirs" / "fit_results.json").read_text())["best_fit_point"]
        smefit = np.array([written[n] for n in names]), dump["covariance"]
        exact = reference(folder / "ours.yaml", names)
        mine = own(folder / "ours", names)
    sigma = np.sqrt(np.diag(exact[1]))
    print(f"{len(names)} coefficients; largest differences, best fit [sigma] and covariance [sigma sigma]")
    rows = {
        "written by SMEFiT, recomputed": distance((dump["best"], smefit[1]), smefit, sigma),
        "ours, SMEFiT": distance(mine, smefit, sigma),
        f"ours, {DIGITS} digits": distance(mine, exact, sigma),
        f"SMEFiT, {DIGITS} digits": distance(smefit, exact, sigma),
    }
    for what, (best, covariance) in rows.items():
        print(f"  {what:32s} {best:9.2e} {covariance:9.2e}")
    allowed = [max(TOLERANCE, 2 * x) for x in rows[f"SMEFiT, {DIGITS} digits"]]
    equal = all(x <= y for x, y in zip(rows["ours, SMEFiT"], allowed, strict=True))
    accurate = max(rows[f"ours, {DIGITS} digits"]) <= TOLERANCE
    median = {side: statistics.median(seconds) for side, seconds in times.items()}
    ratio = median["theirs"] / median["ours"]
    print(f"wall time: ours {median['ours']:.2f} s, SMEFiT {median['theirs']:.2f} s, ratio {ratio:.1f}")
    if arguments.import_time:
        import_time()
    return 0 if equal and accurate and ratio >= RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
