"""How long the fit side takes to import, from the start of Python: `python benchmarks/import_time.py`.

Compared with pandas alone, which is most of it, in turn, so that other work on the machine meets both.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

WHAT = {
    "pandas": "import pandas",
    "fit side": "from smeft_unbinned import Runcard, minimise, sample",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat
    seconds: dict[str, list[float]] = {name: [] for name in WHAT}
    for _ in range(repeat):
        for name, code in WHAT.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            seconds[name].append(time.perf_counter() - start)
    for name, found in seconds.items():
        print(f"{name:10} best {min(found):.2f} s, median {statistics.median(found):.2f} s of {repeat}")


if __name__ == "__main__":
    main()
