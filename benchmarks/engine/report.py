"""Report of the benchmarks of the engine: docs/engine.md and its figure, made from the JSON files alone.

python benchmarks/engine/report.py [--results .benchmarks/engine --docs docs]

The folder holds machine_*.json (machine.py), bench_*.json (pytest-benchmark), and, where they were run,
compression.json and nuisances.json of the programs of these names.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import report_others as others
import report_sections as sections
import report_text as text

from smeft_unbinned.errors import InputError
from smeft_unbinned.storage import write_text

Entry = Mapping[str, Any]
INTRODUCTION = """# The likelihood engine

How -2 log L is evaluated, and how fast. The figures are measured and written by `make bench` and not edited;
the programs in `benchmarks/engine` say what each is.
"""


class Results:
    """Everything measured: entries by figure and number of threads, machines by number of threads."""

    def __init__(self, folder: Path) -> None:
        self.entries: dict[tuple[str, int], list[Entry]] = {}
        for content in _contents(folder, "bench_*.json"):
            for benchmark in content["benchmarks"]:
                entry = benchmark["extra_info"]
                self.entries.setdefault((entry["figure"], entry["threads"]), []).append(entry)
        self.machines: dict[int, Entry] = {m["threads"]: m for m in _contents(folder, "machine_*.json")}
        if not self.entries or not self.machines:
            raise InputError(f"{folder} holds no results; run `make bench` first")
        self.threads = tuple(sorted({threads for _, threads in self.entries}))

    def all(self, figure: str, threads: int) -> list[Entry]:
        """Return the entries of a figure that hold results."""
        found = self.entries.get((figure, threads), [])
        return [e for e in found if e.keys() & {"seconds", "single", "rates"}]

    def of(self, figure: str, threads: int) -> Entry | None:
        """Return the entry of this package in a figure, the last if there are several."""
        found = self.all(figure, threads)
        return found[-1] if found else None


def _contents(folder: Path, pattern: str) -> list[Any]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(pattern))]


def write(folder: Path, docs: Path) -> Path:
    """Write engine.md and figures/engine_scaling.png into the folder `docs`; return the path of the text.

    Raises InputError for a folder without results.
    """
    results = Results(folder)
    parts = [
        INTRODUCTION,
        text.METHOD,
        sections.goals(results),
        sections.machine(results),
        sections.values(results),
        sections.derivatives(results),
        sections.low_rank(results),
        sections.mapped(results),
        sections.peers(results),
        sections.scaling(results, docs),
        *(others.compression(content) for content in _contents(folder, "compression.json")),
        *(others.nuisances(content) for content in _contents(folder, "nuisances.json")),
    ]
    path = docs / "engine.md"
    whole = "\n".join(part.strip() + "\n" for part in parts if part)
    write_text(path, re.sub(r"\n{3,}", "\n\n", whole))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path(".benchmarks/engine"))
    parser.add_argument("--docs", type=Path, default=Path(__file__).resolve().parents[2] / "docs")
    options = parser.parse_args()
    print(write(options.results, options.docs))


if __name__ == "__main__":
    main()
