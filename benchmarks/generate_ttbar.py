"""Speed of pp -> t tbar generation with the full truth, in events per second on one core.

python benchmarks/generate_ttbar.py [N]
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from smeft_unbinned.processes import ttbar  # after the thread limits, which are read on import


def main(n: int = 100_000) -> None:
    """Print the time of a first call, which builds the densities, and then the speed of each mode."""
    start = time.perf_counter()
    ttbar.generate(1, seed=0)
    print(f"first call: {time.perf_counter() - start:.2f} s")
    for unweighted in (True, False):
        for operators in (("ctG",), ttbar.OPERATORS):
            start = time.perf_counter()
            events = ttbar.generate(n, operators=operators, seed=1, unweighted=unweighted)
            seconds = time.perf_counter() - start
            mode = "unweighted" if unweighted else "weighted"
            efficiency = events.metadata["efficiency"]
            print(
                f"ttbar {mode:10s} {len(operators):2d} operators: {n / seconds:9.0f} events/s "
                f"({seconds:.2f} s for {n}, efficiency {efficiency:.2f})"
            )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
