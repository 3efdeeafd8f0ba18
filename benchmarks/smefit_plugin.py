"""Speed and size of the SMEFiT adapter against an external chi2 that is written by hand in jax.

    python benchmarks/smefit_plugin.py [--events 10000 100000 1000000]

In an environment with SMEFiT. One unbinned dataset in six coefficients, quadratic: 28 numbers per event. Both
terms are evaluated by SMEFiT's own compiled log-likelihood, each in a process of its own, and take turns, so
that they meet the same load of the machine; the best of all rounds counts. Compiling is the first call.
Memory is what a process has at most, while it loads and compiles, above that with SMEFiT alone (Linux).

Exit code 1 if the values differ, if the adapter is more than 1.1 times slower, or if it compiles for 10 s.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from plugins.smefit.runcard import MODULE
from smeft_unbinned import Polynomial, UnbinnedDataset

OPERATORS = ("O3pq", "OpB", "OpW", "OpWB", "OpqMi", "Opui")
EVENTS = (10_000, 100_000, 1_000_000)
SLOWER, COMPILING, VALUE = 1.1, 10.0, 1e-10
"""Largest ratio of times, longest compilation in seconds, largest relative difference of values."""
ROUND = 0.3
"""Seconds of a round, about."""
BY_HAND = """
import jax.numpy as jnp
import numpy as np


class ByHand:
    def __init__(self, coefficients, rge_dict, file):
        with np.load(file) as arrays:
            self.features = jnp.asarray(arrays["features"])
            self.nu = jnp.asarray(arrays["nu"])
        self.rows, self.columns = np.triu_indices(len(coefficients.name) + 1)

    def compute_chi2(self, values):
        x = jnp.concatenate([jnp.ones(1), values])
        monomials = x[self.rows] * x[self.columns]
        r = self.features @ monomials
        return -2 * jnp.sum(jnp.log(r)) + 2 * (self.nu @ monomials - self.nu[0])
"""


def make(folder: Path, events: int) -> dict[str, dict[str, Any]]:
    """Write one dataset for both sides; return their entries of external_chi2 by name."""
    n, rng = len(OPERATORS), np.random.default_rng(1)
    amplitudes = 0.3 * rng.normal(size=(events, 2, n + 1))
    amplitudes[:, 0, 0], amplitudes[:, 1, 0] = 1.0, 0.0
    ratios = Polynomial.from_matrix(OPERATORS, amplitudes.swapaxes(1, 2) @ amplitudes)
    nu = ratios.coefficients.mean(axis=0) * events
    UnbinnedDataset("x", ratios, Polynomial(OPERATORS, nu), basis="smefit").save(folder / "x.dataset")
    np.savez(folder / "x.npz", features=ratios.coefficients, nu=nu)
    (folder / "by_hand.py").write_text(BY_HAND, encoding="utf-8")
    return {
        "by hand": {"ByHand": {"path": str(folder / "by_hand.py"), "file": str(folder / "x.npz")}},
        "adapter": {"x": {"path": MODULE, "file": str(folder / "x.dataset")}},
    }


def memory() -> float:
    """Return the largest memory of this process so far, in MB; getrusage would count that of its parent."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def child(entry: dict[str, Any]) -> None:
    """Say how long the first call takes, its value and the memory; then time a round for every line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import smefit.cli  # noqa: F401 (switches jax to float64, as the command does)
        from smefit.optimize.ultranest import USOptimizer
    card = {
        "external_chi2": entry,
        "coefficients": {name: {"min": -1.0, "max": 1.0} for name in OPERATORS},
        "result_path": "results",
        "result_ID": "speed",
        "use_quad": True,
    }
    before = memory()
    likelihood = USOptimizer.from_dict(card).gaussian_loglikelihood
    points = np.random.default_rng(2).uniform(-0.05, 0.05, (50, len(OPERATORS)))
    times, values = [], []
    for point in points[[0, 0, 0]]:
        start = time.perf_counter()
        values.append(float(likelihood(point)))
        times.append(time.perf_counter() - start)
    print(json.dumps({"compile": times[0], "value": values[0], "memory": memory() - before}), flush=True)
    calls = max(int(ROUND / times[2]), 3)
    for _ in sys.stdin:
        start = time.perf_counter()
        for i in range(calls):
            float(likelihood(points[i % len(points)]))
        print((time.perf_counter() - start) / calls, flush=True)


def measure(folder: Path, events: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return by side the seconds per call and of the first one, the memory in MB and the value."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child"]
    found, processes = {}, {}
    for side, entry in make(folder, events).items():
        processes[side] = subprocess.Popen(
            [*command, json.dumps(entry)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        found[side] = {**json.loads(_line(processes[side])), "call": np.inf}
    for _ in range(rounds):
        for side, process in processes.items():
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            found[side]["call"] = min(found[side]["call"], float(_line(process)))
    for process in processes.values():
        process.communicate("")
    return found


def _line(process: subprocess.Popen[str]) -> str:
    """Return the next line of results; what SMEFiT prints starts otherwise."""
    assert process.stdout is not None
    for line in process.stdout:
        if line[:1] in "{0123456789":
            return line
    raise RuntimeError(f"a process ended early with exit code {process.wait()}")


def main() -> int:
    """Measure, print a table and what was missed, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--events", type=int, nargs="+", default=EVENTS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        child(arguments.child)
        return 0
    missed = []
    print(f"{'events':>9s} {'':8s} {'calls/s':>9s} {'time':>6s} {'compile':>9s} {'memory':>8s}")
    for events in arguments.events:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), events, arguments.rounds)
        hand, ours = found["by hand"], found["adapter"]
        ratio = ours["call"] / hand["call"]
        for side, f in found.items():
            print(
                f"{events:9d} {side:8s} {1 / f['call']:9.0f} {f['call'] / hand['call']:6.2f} "
                f"{f['compile']:7.2f} s {f['memory']:5.0f} MB"
            )
        if ratio > SLOWER:
            missed.append(f"{events} events: {ratio:.2f} times the time of a term by hand, at most {SLOWER}")
        if ours["compile"] > COMPILING:
            missed.append(f"{events} events: {ours['compile']:.1f} s to compile, at most {COMPILING:g}")
        if not np.isclose(ours["value"], hand["value"], rtol=VALUE, atol=0.0):
            missed.append(f"{events} events: log L {ours['value']!r}, by hand {hand['value']!r}")
    print("MISSED: " + "; ".join(missed) if missed else "all figures reached")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
