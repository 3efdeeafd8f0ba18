"""Memory and speed of streaming a large parquet file: weights at points to polynomials, block by block.

python benchmarks/stream_parquet.py [N]

Writes N events (default 10 million) with 6 features and 10 weights in single precision to a temporary folder,
reads them back with `iterate_table`, and prints rate and peak resident memory; ends with 1 above 2 GiB, or
where the polynomial of the cross section is not that of the weights written.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # after the thread limits, which are read on import
import pyarrow as pa
import pyarrow.parquet as pq

from smeft_unbinned.events.morphing import monomial_matrix
from smeft_unbinned.events.table import iterate_table

OPERATORS = ("cHW", "cHq3", "cHu")
FEATURES = [f"x{i}" for i in range(6)]
BLOCK = 250_000
LIMIT = 2 * 2**30
POINTS = np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3), 1.0 - np.eye(3)])


def write(path: Path, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Write the file; return the packed cross section (10,) and the feature means (6,) of its events."""
    schema = pa.schema([(name, pa.float32()) for name in [*FEATURES, *(f"w{b}" for b in range(len(POINTS)))]])
    rng = np.random.default_rng(0)
    matrix = monomial_matrix(POINTS)
    weights, means = np.zeros(len(POINTS)), np.zeros(len(FEATURES))
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, n, BLOCK):
            size = min(BLOCK, n - start)
            x = rng.normal(size=(size, len(FEATURES))).astype(np.float32)
            a = 1.0 + 0.1 * x[:, :3]
            one, zero = np.ones(size), np.zeros(size)
            q = np.stack(
                [one, *(2 * a).T, a[:, 0] ** 2, *([zero] * 2), a[:, 1] ** 2, zero, a[:, 2] ** 2], axis=1
            )
            w = (q @ matrix.T / n).astype(np.float32)
            weights += w.sum(axis=0, dtype=float)
            means += x.sum(axis=0, dtype=float) / n
            columns = [pa.array(column) for column in (*x.T, *w.T)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return np.linalg.solve(matrix, weights), means


def main(n: int = 10_000_000) -> int:
    """Write, stream, print; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        start = time.perf_counter()
        expected, expected_means = write(path, n)
        size = path.stat().st_size / 1e6
        print(f"wrote {n} events, {size:.0f} MB, in {time.perf_counter() - start:.1f} s")
        points = {f"w{b}": dict(zip(OPERATORS, row, strict=True)) for b, row in enumerate(POINTS.tolist())}
        start = time.perf_counter()
        sigma, means, done = np.zeros(len(expected)), np.zeros(len(FEATURES)), 0
        for events in iterate_table(path, features=FEATURES, points=points):
            assert events.cross_section is not None
            sigma += events.cross_section.coefficients
            means += events.features.to_numpy().sum(axis=0) / n
            done += len(events)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    off = max(float(np.max(np.abs(sigma - expected))), float(np.max(np.abs(means - expected_means))))
    print(
        f"streamed {done} events in {seconds:.1f} s: {done / seconds:,.0f} events/s, "
        f"{size / seconds:.0f} MB/s"
    )
    print(f"peak resident memory {peak / 2**30:.2f} GiB; largest difference of sigma(c) and means {off:.1e}")
    return int(peak > LIMIT or done != n or off > 1e-6)


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
