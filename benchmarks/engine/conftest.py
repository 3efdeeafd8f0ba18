"""How the benchmarks time things: contenders in turn, so that what else the machine does meets all of them.

OMP_NUM_THREADS=1 python -m pytest -o addopts= benchmarks/engine --benchmark-json FILE

One group of benchmarks is one figure. `extra_info["seconds"]` of the entry of this package holds the median
time per call of each contender, taken in turn, `extra_info["cpu"]` that of the processor, which other
programs on the machine disturb less, and `extra_info["ratios"]` how much more time per point the others take.
What is asserted is that all of them compute the same; how fast is for the report to say.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import large
import numpy as np
import pytest
from numpy.typing import NDArray

from smeft_unbinned import UnbinnedDataset
from smeft_unbinned.engine import blocks
from smeft_unbinned.polynomial import monomials

THREADS = blocks.available()
os.environ.setdefault("NPROC", str(THREADS))  # of the thread pool of jax, read when it is imported
if THREADS == 1:
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
REST = 0.15
"""Seconds between contenders of several threads: those of the algebra library wait actively at first."""
BURST = 0.004
"""Seconds for which one contender is called before it is the turn of the next."""
BUDGET = 5.0
"""Seconds for one comparison."""
ROUNDS = (7, 60)
Race = Callable[..., None]


class Problem(NamedTuple):
    """A dataset, its ratios without the constant (N, P - 1) in double precision, and points (64, n)."""

    data: UnbinnedDataset
    matrix: NDArray[np.float64]
    points: NDArray[np.float64]

    def columns(self) -> NDArray[np.float64]:
        """Return the monomials of the points without the constant, (P - 1, 64)."""
        return np.ascontiguousarray(monomials(self.points)[:, 1:].T)

    def events(self, c: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return -2 sum_e log r_e as the dataset has it: without the yield."""
        nu = self.data.expected
        return np.asarray(self.data.m2logl(c) - 2.0 * (nu.evaluate(c) - nu.constant))


@lru_cache(maxsize=1)
def make_problem(n: int, events: int) -> Problem:
    """Return a problem with n coefficients; the last one asked for is kept."""
    data = large.dataset(events, n)
    matrix = np.ascontiguousarray(data.ratios.dense().coefficients[:, 1:])
    return Problem(data, matrix, large.points(n, 64))


@pytest.fixture
def problem() -> Callable[[int, int], Problem]:
    """Return what makes a problem: `problem(n, events)`."""
    return make_problem


def burst(call: Callable[[], Any], count: int) -> tuple[float, float]:
    """Return mean time and processor time of calls, after one that brings the data into the cache, s."""
    call()
    start, used = time.perf_counter(), time.process_time()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count, (time.process_time() - used) / count


def per_point(times: Mapping[str, Sequence[float]], points: Mapping[str, int]) -> dict[str, float]:
    """Return by contender how much more time per point than the first it takes, from medians."""
    median = {name: float(np.median(t)) / points.get(name, 1) for name, t in times.items()}
    first = next(iter(median))
    return {name: time / median[first] for name, time in median.items() if name != first}


@pytest.fixture
def race(benchmark: Any) -> Race:
    """Return what times one contender, and all in turn if it is the first: `race(who, contenders, ...)`.

    contenders: call by name, the first is this package. points: how many each evaluates per call, 1 if
    absent. info: recorded with the result.
    """

    def run(
        who: str,
        contenders: Mapping[str, Callable[[], Any]],
        *,
        group: str,
        points: Mapping[str, int] | None = None,
        **info: Any,
    ) -> None:
        first = next(iter(contenders))
        benchmark.group = group
        benchmark.extra_info.update({"figure": group, "who": who, "threads": THREADS, **info})
        if who != first:
            benchmark.pedantic(contenders[who], rounds=5, warmup_rounds=1)
            return
        counts = {name: max(int(BURST / burst(call, 1)[0]), 1) for name, call in contenders.items()}
        wall: dict[str, list[float]] = {name: [] for name in contenders}
        cpu: dict[str, list[float]] = {name: [] for name in contenders}

        def turn() -> None:
            for name, call in contenders.items():
                if THREADS > 1:
                    time.sleep(REST)
                taken, used = burst(call, counts[name])
                wall[name].append(taken)
                cpu[name].append(used)

        start = time.perf_counter()
        turn()
        rounds = int(np.clip(BUDGET / (time.perf_counter() - start), *ROUNDS))
        benchmark.pedantic(contenders[who], setup=turn, rounds=rounds)
        scale = {name: (points or {}).get(name, 1) for name in contenders}
        benchmark.extra_info.update(
            {
                "points": scale,
                "seconds": {name: float(np.median(t)) for name, t in wall.items()},
                "best": {name: min(t) for name, t in wall.items()},
                "cpu": {name: float(np.median(t)) for name, t in cpu.items()},
                "ratios": per_point(wall, scale),
                "ratios_cpu": per_point(cpu, scale),
            }
        )

    return run
