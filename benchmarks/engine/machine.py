"""What the machine can do, beside which the times of the engine stand.

OMP_NUM_THREADS=1 python benchmarks/engine/machine.py --output FILE

Memory: two long arrays are read once each, for a scalar product. Matrices: products of square ones in double
and in single precision. Logarithms: of an array that stays in the cache. Each is repeated; the JSON holds the
median and the best, since other programs may run at the same time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from smeft_unbinned.engine import blocks
from smeft_unbinned.storage import write_text
from smeft_unbinned.version import __version__

Array = NDArray[Any]


def rate(work: float, call: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Return median and best of the work per second of a call."""
    call()
    rates = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        rates.append(work / (time.perf_counter() - start))
    return {"median": float(np.median(rates)), "best": max(rates)}


def shared(function: Callable[..., Any], threads: int, *arrays: Array) -> Callable[[], Any]:
    """Return a call that applies a function to consecutive parts of arrays on several threads."""
    parts = list(zip(*(np.array_split(a, threads) for a in arrays), strict=True))
    if threads == 1:
        return lambda: function(*parts[0])

    def call() -> list[Any]:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda part: function(*part), parts))

    return call


def measure(
    threads: int, length: int = 2**26, side: int = 2048, logs: int = 2**15, rounds: int = 9
) -> dict[str, Any]:
    """Return memory bandwidth, bytes/s, matrix rates, flop/s, and logarithms/s on some threads.

    length: numbers in each of the two arrays that are read. side: of the matrices. logs: numbers per thread.
    """
    rng = np.random.default_rng(1)
    a, b = np.ones(length), np.full(length, 2.0)
    found: dict[str, Any] = {"threads": threads}
    with threadpool_limits(1):
        found["memory"] = rate(16.0 * length, shared(np.dot, threads, a, b), rounds)
        del a, b
        many = rng.uniform(0.5, 2.0, (threads, logs))
        out = np.empty_like(many)
        repeats = 200

        def several(x: Array, y: Array) -> None:
            for _ in range(repeats):
                np.log(x, out=y)

        found["logarithms"] = rate(float(repeats * many.size), shared(several, threads, many, out), rounds)
    with threadpool_limits(threads):
        for name, dtype in (("dgemm", np.float64), ("sgemm", np.float32)):
            m = rng.normal(size=(side, side)).astype(dtype)
            product = np.empty_like(m)
            found[name] = rate(2.0 * side**3, lambda m=m, out=product: np.matmul(m, m, out=out), rounds)
    return found


def about() -> dict[str, Any]:
    """Return what the machine is, and the versions of what computes."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    pools = {f"{p['internal_api']} {p['version']} ({p.get('architecture')})" for p in threadpool_info()}
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "caches": caches(),
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "libraries": sorted(pools),
        "smeft_unbinned": __version__,
    }


def caches() -> list[str]:
    """Return the caches of the first core as the system names them, level and size."""
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    found = {"machine": about(), **measure(blocks.available())}
    write_text(options.output, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
