"""The same fit by SMEFiT's nested sampling and by ours: posteriors, wall and CPU time.

    python benchmarks/smefit_ns.py [DATASET] --smefit-python ENV/bin/python --data FOLDER

Five binned top and Higgs datasets of SMEFiT's database (60 points) and one unbinned ZH dataset, quadratic,
with t0 and theory covariance, six free coefficients. Without DATASET, one of --events exact events is made
and kept in --cache. Both sides run in a process of their own with one thread, start-up and compilation
included, with the same live points and the same fraction of the evidence left.

Exit code 1 if a mean differs by more than 0.1 standard deviations, a width by more than 5 %, a distribution
in a two-sample Kolmogorov-Smirnov test, or -2 log L at the best point of SMEFiT by more than 1e-6; and, with
the dataset made here, if SMEFiT takes less than ten times our CPU time.

Noise: with effective sample sizes N and M, means scatter by sqrt(1/N + 1/M) standard deviations and widths
by sqrt(1/2N + 1/2M); 1000 live points gave N = 6000 in this fit, so about 0.02 and 1.3 %. Samples of equal
weight are drawn from weighted ones, so N follows from how often each occurs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import stats

from smeft_unbinned import Runcard, export, sample
from smeft_unbinned.processes import vh

DATASETS = [
    {"name": "CMS_tt_13TeV_ljets_2016_Mtt", "order": "NLO_QCD"},
    {"name": "CMS_ttZ_13TeV_pTZ", "order": "NLO_QCD"},
    {"name": "ATLAS_ttZ_13TeV_pTZ", "order": "NLO_QCD"},
    {"name": "ATLAS_ZH_Hbb_13TeV", "order": "LO"},
    {"name": "ATLAS_STXS_runII_13TeV", "order": "NLO_QCD"},
]
RANGES = {"OtG": 1.0, "O81qq": 2.0, "OtZ": 4.0, "OpG": 0.1, "O3pq": 0.5, "OpW": 1.5}
"""Free coefficients and the half-width of their prior, TeV^-2."""
OPERATORS = ("cHW", "cHWB", "cHq3", "cHq1", "cHu", "cHd")
LUMINOSITY, EFFICIENCY = 300.0, 0.0673 * 0.582 * 0.3
"""Of the dataset made here: fb^-1; BR(Z -> ee, mumu) x BR(H -> bb) x selection efficiency."""
MEAN_TOLERANCE, WIDTH_TOLERANCE, VALUE_TOLERANCE = 0.1, 0.05, 1e-6
LEAST_PROBABILITY = 1e-3
"""Of a larger Kolmogorov-Smirnov distance between samples of one distribution."""
GOAL = 10.0
"""CPU time of SMEFiT over ours."""
SMEFIT = (
    "import sys, numpy; numpy.random.seed(int(sys.argv.pop(1)));"
    "from smefit.cli import base_command; base_command()"
)


def card(file: Path, data: Path, folder: Path, nlive: int) -> dict[str, Any]:
    """Return the runcard, which both sides read."""
    return {
        "result_ID": "smefit",
        "result_path": str(folder),
        "data_path": str(data / "smefit_database" / "commondata"),
        "theory_path": str(data / "smefit_database" / "theory"),
        "use_quad": True,
        "use_t0": True,
        "use_theory_covmat": True,
        "nlive": nlive,
        "frac_remain": 0.01,
        "n_samples": 10**7,
        "datasets": DATASETS,
        "coefficients": {name: {"min": -half, "max": half} for name, half in RANGES.items()},
        "external_chi2": {"zh": {"path": "plugins.smefit.unbinned.py", "file": str(file.resolve())}},
    }


def dataset(events: int, cache: Path, seed: int = 2) -> Path:
    """Return the file of an unbinned ZH dataset with exact ratios, made if it is not in the cache."""
    file = cache / f"zh_14tev_{events}_{seed}.dataset"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        sample = vh.generate(events, operators=OPERATORS, seed=seed, unweighted=False)
        made = export(None, sample, name="zh_14tev", luminosity=LUMINOSITY, efficiency=EFFICIENCY, seed=seed)
        made.save(file)
    return file


def ours(path: Path, seed: int) -> None:
    """Run our own fit of a card and write samples and statistics beside it; the child process."""
    runcard = Runcard.load(path)
    result = sample(runcard.likelihood(), bounds=runcard.bounds, nlive=runcard.nlive, seed=seed)
    assert result.samples is not None
    samples = json.dumps(result.samples.to_dict(orient="list"))  # to_json would round
    path.with_name("ours.json").write_text(samples)
    path.with_name("ours_log.json").write_text(json.dumps(dict(result.provenance), default=str))


def timed(command: list[str], folder: Path, log: Path) -> tuple[float, float]:
    """Run a command with one thread and return wall and CPU seconds; raise RuntimeError if it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    packages = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(Path(__file__).resolve().parents[1])])
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    flags = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
    environment = {**os.environ, **threads, **flags, "PYTHONPATH": packages.lstrip(os.pathsep)}
    with log.open("w") as stream:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=stream, stderr=stream)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{command[:2]} failed:\n{log.read_text()[-3000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def effective_size(samples: pd.DataFrame) -> float:
    """Return (sum w)^2 / sum w^2 of the weighted samples that samples of equal weight repeat."""
    counts = samples.groupby(list(samples.columns)).size().to_numpy()
    return float(counts.sum() ** 2 / np.sum(counts**2))


def compare(theirs: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """Return means and widths of both, differences in standard deviations and percent, and distances.

    KS is the largest distance between the distribution functions, p the probability of a larger one.
    """
    names = list(RANGES)
    table = pd.DataFrame(
        {
            "mean SMEFiT": theirs[names].mean(),
            "mean ours": own[names].mean(),
            "width SMEFiT": theirs[names].std(),
            "width ours": own[names].std(),
        }
    )
    difference = table["mean ours"] - table["mean SMEFiT"]
    table["mean [sigma]"] = difference / table["width SMEFiT"]
    table["width [%]"] = 100 * (table["width ours"] / table["width SMEFiT"] - 1)
    table["KS"] = [stats.ks_2samp(theirs[n], own[n]).statistic for n in names]
    n, m = effective_size(theirs[names]), effective_size(own[names])
    print(f"effective sample sizes {n:.0f} (SMEFiT) and {m:.0f} (ours)\n")
    table["p"] = stats.kstwobign.sf(table["KS"] * np.sqrt(n * m / (n + m)))
    return table


def same_point(result: dict[str, Any], path: Path) -> float:
    """Print -2 log L at the best point of SMEFiT by both, and return the difference."""
    likelihood = Runcard.load(path).likelihood()
    binned = likelihood.datasets[0]
    offset = float(binned.chi2(np.zeros(len(binned.operators))))  # type: ignore[attr-defined]
    value = float(likelihood.m2logl({name: result["best_fit_point"][name] for name in RANGES}))
    theirs = -2 * float(result["max_loglikelihood"]) - offset
    print(f"-2 log L at the best point of SMEFiT: SMEFiT {theirs:.9f}, ours {value:.9f}\n")
    return abs(value - theirs)


def benchmark(arguments: argparse.Namespace, folder: Path) -> int:
    """Run both fits in a folder, print the comparison and return the exit code."""
    path = folder / "card.yaml"
    path.write_text(yaml.safe_dump(card(arguments.file, arguments.data, folder, arguments.nlive)))
    seed = str(arguments.seed)
    own = [sys.executable, str(Path(__file__).resolve()), "--child", str(path), "--seed", seed]
    times = {
        "ours": timed(own, folder, folder / "ours.log"),
        "SMEFiT": timed(
            [str(arguments.smefit_python), "-c", SMEFIT, seed, "NS", str(path)], folder, folder / "smefit.log"
        ),
    }
    result = json.loads((folder / "smefit" / "fit_results.json").read_text())
    theirs, mine = (
        pd.DataFrame(result["samples"]),
        pd.DataFrame(json.loads((folder / "ours.json").read_text())),
    )
    table = compare(theirs, mine)
    print(f"{arguments.nlive} live points, {len(theirs)} (SMEFiT) and {len(mine)} (ours) posterior samples\n")
    print(table.to_string(float_format=lambda x: f"{x:.4g}"), "\n")
    shift = same_point(result, path)
    for name, (wall, cpu) in times.items():
        print(f"{name:7s} {wall:8.1f} s wall {cpu:8.1f} s CPU")
    bad_mean = table["mean [sigma]"].abs().max() > MEAN_TOLERANCE
    bad_width = table["width [%]"].abs().max() > 100 * WIDTH_TOLERANCE
    bad_shape = table["p"].min() < LEAST_PROBABILITY
    failed = bool(bad_mean or bad_width or bad_shape or shift > VALUE_TOLERANCE)
    ratio = times["SMEFiT"][1] / times["ours"][1]
    slow = arguments.made and ratio < GOAL
    print(f"CPU time of SMEFiT over ours: {ratio:.1f}, goal {GOAL:g}{', MISSED' if ratio < GOAL else ''}")
    print("DIFFERENT" if failed else "agree")
    return int(failed or slow)


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", help="unbinned ZH dataset; made without")
    parser.add_argument("--events", type=int, default=100_000, help="of the dataset to be made")
    parser.add_argument("--cache", type=Path, default=Path(".benchmarks"), help="folder to keep it in")
    parser.add_argument("--smefit-python", type=Path, help="python of an environment with smefit")
    parser.add_argument("--data", type=Path, default=os.environ.get("SMEFT_UNBINNED_DATA"))
    parser.add_argument("--nlive", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder to keep the results in")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        ours(arguments.child, arguments.seed)
        return 0
    if None in (arguments.smefit_python, arguments.data):
        parser.error("give --smefit-python, and --data or SMEFT_UNBINNED_DATA")
    arguments.data, arguments.made = Path(arguments.data), arguments.file is None
    if arguments.made:
        arguments.file = dataset(arguments.events, arguments.cache)
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        return benchmark(arguments, arguments.keep.resolve())
    with tempfile.TemporaryDirectory() as folder:
        return benchmark(arguments, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
