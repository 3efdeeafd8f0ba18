"""Datasets of any size for the benchmarks, and the measurements that need a process of their own.

python benchmarks/engine/large.py stored --form dense|lowrank --events N --operators n [--batch 64]
python benchmarks/engine/large.py write FILE --events N --operators n [--dtype float64]
python benchmarks/engine/large.py mapped FILE
python benchmarks/engine/large.py read FILE

All of them print one line of JSON with times in s, bandwidths in bytes/s and memory in bytes; the number of
threads is that of OMP_NUM_THREADS. Memory is the peak of what the process had resident, pages of mapped files
included. Events are drawn as r = sum_k (F_k0 + F_k . c)^2 with F normal, 0.1 wide, and r = 1 at the SM.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from smeft_unbinned import UnbinnedDataset
from smeft_unbinned.polynomial import Polynomial, SumOfSquares, pack, size

Real = NDArray[np.float64]
RANK = 3
BLOCK = 10_000
"""Events that are drawn at once."""
BUFFER = 2**23
"""Bytes that are read at once where the bandwidth of a file is measured."""


def names(n: int) -> list[str]:
    """Return names for n coefficients."""
    return [f"c{i}" for i in range(n)]


def drawn(events: int, n: int, seed: int) -> Iterator[tuple[slice, Real]]:
    """Yield blocks of events and their factors, (B, RANK, n + 1); the same for every storage."""
    for start in range(0, events, BLOCK):
        part = slice(start, min(start + BLOCK, events))
        rng = np.random.default_rng([seed, start])
        factors = rng.normal(scale=0.1, size=(part.stop - part.start, RANK, n + 1))
        factors[:, :, 0] = np.eye(RANK)[0]
        yield part, factors


def fill(array: NDArray[Any], n: int, seed: int = 1) -> Polynomial:
    """Fill factors (N, RANK, n + 1) or packed coefficients (N, P) in place; return the sum of the ratios."""
    total = np.zeros((n + 1, n + 1))
    for part, factors in drawn(len(array), n, seed):
        flat = factors.reshape(-1, n + 1)
        total += flat.T @ flat
        if array.ndim == 3:
            array[part] = factors
        else:
            array[part] = pack(np.matmul(factors.swapaxes(1, 2), factors))
    return Polynomial(names(n), pack(total))


def points(n: int, count: int, seed: int = 2) -> Real:
    """Return points (count, n) at which ratios are 1 give or take 0.1."""
    return np.random.default_rng(seed).normal(size=(count, n)) / np.sqrt(n)


def dataset(events: int, n: int, form: str = "dense", dtype: DTypeLike = float) -> UnbinnedDataset:
    """Return observed events in memory; form: dense or lowrank."""
    shape = (events, size(n)) if form == "dense" else (events, RANK, n + 1)
    array = np.empty(shape, dtype)
    expected = fill(array, n)
    ratios = Polynomial(names(n), array) if form == "dense" else SumOfSquares(names(n), array)
    return UnbinnedDataset("drawn", ratios, expected)


def peak() -> int:
    """Return the most memory this process had resident so far, bytes.

    Of the program itself where the system tells; the other count starts with the memory of the parent.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
    except (OSError, StopIteration):
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def timed(call: Callable[[], Any], rounds: int = 7) -> tuple[list[float], list[float]]:
    """Return times and processor times of some calls after a first one that does not count, s."""
    call()
    wall, cpu = [], []
    for _ in range(rounds):
        start, used = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return wall, cpu


def stored(form: str, events: int, n: int, batch: int) -> dict[str, Any]:
    """Return time of value and gradient and memory of a dataset in memory."""
    idle = peak()
    data = dataset(events, n, form)
    built = peak()
    where = points(n, max(batch, 1))
    single = timed(lambda: data.value_and_gradient(where[0]))
    both = timed(lambda: data.value_and_gradient(where[:batch]), rounds=3) if batch else ([], [])
    array = data.ratios.factors if isinstance(data.ratios, SumOfSquares) else data.ratios.dense().coefficients
    value, gradient = data.value_and_gradient(where[0])
    return {
        "form": form, "events": events, "n": n, "points": batch,
        "single": single[0], "single_cpu": single[1], "batch": both[0], "batch_cpu": both[1],
        "stored": array.nbytes, "idle": idle, "built": built, "peak": peak(),
        "value": float(value), "gradient": np.asarray(gradient).tolist(),
    }  # fmt: skip


def write(path: Path, events: int, n: int, dtype: str) -> dict[str, Any]:
    """Save a dataset that is never in memory as a whole; return the peak of the memory and the size."""
    scratch = path.with_suffix(".npy")
    array = np.lib.format.open_memmap(scratch, "w+", dtype, (events, size(n)))
    expected = fill(array, n)
    UnbinnedDataset("drawn", Polynomial(names(n), array), expected).save(path)
    scratch.unlink()
    return {"bytes": path.stat().st_size, "peak": peak()}


def mapped(path: Path, rounds: int = 5) -> dict[str, Any]:
    """Return what loading and evaluating a file costs."""
    idle, start = peak(), time.perf_counter()
    data = UnbinnedDataset.load(path)
    load = time.perf_counter() - start
    where = points(len(data.operators), 64)
    single = timed(lambda: data.m2logl(where[0]), rounds)
    gradient = timed(lambda: data.gradient(where[0]), rounds)
    batch = timed(lambda: data.m2logl(where), 2)
    found = peak()
    drop(path)
    start = time.perf_counter()
    value = data.m2logl(where[0])
    cold = time.perf_counter() - start
    return {
        "events": len(data), "n": len(data.operators), "bytes": data.ratios.dense().coefficients.nbytes,
        "load": load, "single": single[0], "gradient": gradient[0], "batch": batch[0], "points": len(where),
        "cold": cold, "idle": idle, "peak": max(found, peak()), "value": float(value),
    }  # fmt: skip


def drop(path: Path) -> None:
    """Ask the system to forget the content of a file that it holds in memory."""
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(path: Path, rounds: int = 5) -> dict[str, Any]:
    """Return the bandwidth at which a file is read into one buffer, after it was dropped and repeatedly."""

    def once() -> None:
        with open(path, "rb", buffering=0) as stream:
            offset = 0
            while found := os.preadv(stream.fileno(), [buffer], offset):
                offset += found

    buffer = bytearray(BUFFER)
    total = path.stat().st_size
    drop(path)
    start = time.perf_counter()
    once()
    cold = time.perf_counter() - start
    return {"bytes": total, "cold": total / cold, "warm": [total / t for t in timed(once, rounds)[0]]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["stored", "write", "mapped", "read"])
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--form", choices=["dense", "lowrank"], default="dense")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--operators", type=int, default=8)
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--dtype", default="float64")
    options = parser.parse_args()
    if options.what == "stored":
        found = stored(options.form, options.events, options.operators, options.batch)
    elif options.file is None:
        parser.error(f"{options.what} needs a file")
    elif options.what == "write":
        found = write(options.file, options.events, options.operators, options.dtype)
    else:
        found = (mapped if options.what == "mapped" else read)(options.file)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
