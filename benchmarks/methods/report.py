"""Report of the results of run.py: docs/methods.md and its figures, made from the JSON files alone.

python benchmarks/methods/report.py [--results bench_methods --docs docs]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import figures
import sections
import tables
from goals import goals

from smeft_unbinned.errors import InputError
from smeft_unbinned.storage import make_folder, write_text

PROBLEMS = ("zh2", "zh6", "ttbar", "toy")
TITLE = "Methods measured"


class Results:
    """All results of a folder: content by stage and name, in the order in which they were made."""

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, dict[str, dict[str, Any]]] = {}
        for path in sorted(folder.glob("*/*.json"), key=lambda p: (p.parent.name, p.stat().st_mtime_ns)):
            content = json.loads(path.read_text(encoding="utf-8"))
            self.files.setdefault(path.parent.name, {})[path.stem] = content
        if not self.files:
            raise InputError(f"{folder} holds no results; run benchmarks/methods/run.py first")

    def of(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return the results of a stage by name, empty if it was not run."""
        return {name: content["results"] for name, content in self.files.get(stage, {}).items()}

    def contents(self) -> list[dict[str, Any]]:
        """Return the content of every file."""
        return [content for stage in self.files.values() for content in stage.values()]

    def problem(self, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """Return the exact answers of a problem and the rows of its methods, or None if it was not run."""
        found = self.of("table")
        if name not in found:
            return None
        rows = [{"key": k.partition("__")[2], **row} for k, row in found.items() if k.startswith(f"{name}__")]
        return found[name], rows


def write(folder: Path, docs: Path) -> Path:
    """Write methods.md and figures/*.png into the folder `docs`; return the path of the text.

    Raises InputError for a folder without results.
    """
    results = Results(folder)
    pictures = make_folder(docs / "figures")
    parts = [f"# {TITLE}\n", _about(results), goals(results)]
    problems = [found for name in PROBLEMS if (found := results.problem(name))]
    if problems:
        good = [(ref, [r for r in rows if "failed" not in r]) for ref, rows in problems]
        figures.cost(good, pictures / "methods_cost.png")
        parts += ["## Every method on every problem\n", sections.METHODS]
        parts.append("![Error of log r against processor time](figures/methods_cost.png)\n")
        parts += [tables.problem_section(reference, rows) for reference, rows in problems]
    if peers := results.of("peers"):
        parts += ["## Beside ML4EFT and MadMiner\n", sections.peers(peers)]
    if ensemble := results.of("ensemble50"):
        parts += ["## Fifty replicas\n", sections.ensemble(ensemble)]
    smeared = results.of("smeared").get("zh2")
    if smeared and "failed" not in smeared:
        figures.smeared(smeared, pictures / "smeared.png")
        parts += ["## Behind a detector\n", sections.smeared(smeared)]
    covered = [r for r in results.of("coverage").values() if "failed" not in r]
    if covered:
        covered.sort(key=lambda r: r["expected"])
        figures.coverage(covered, pictures / "methods_coverage.png")
        parts += ["## Coverage\n", sections.coverage(covered)]
    path = docs / "methods.md"
    text = "\n".join(parts)
    write_text(path, "\n".join(line.rstrip() for line in text.rstrip().split("\n")) + "\n")
    return path


def _about(results: Results) -> str:
    """Return what made the figures: command, machines, versions."""
    contents = results.contents()
    machines = list(dict.fromkeys(_machine(content["machine"]) for content in contents))
    scales = sorted({content["settings"]["scale"] for content in contents})
    seeds = sorted({content["settings"]["seed"] for content in contents})
    codes = sorted({content["code"] for content in contents})
    cpu = sum(content["seconds"]["cpu"] for content in contents)
    lines = [
        "All figures here are measured and written by `make bench-methods`, that is "
        "`OMP_NUM_THREADS=1 python benchmarks/methods/run.py`, and not edited; the programs say what each "
        "is, and the raw results are JSON files in its output folder.\n",
        *(f"- {machine}" for machine in machines),
        f"- seed {_join(seeds)}; checksum of the code {_join(codes)}; {cpu / 60:.0f} CPU minutes of this "
        "package in all, trainings and evaluation",
    ]
    if scales != [1.0]:
        lines.append(f"- **a trial run at scale {_join(scales)}: its figures say nothing about the methods**")
    return "\n".join(lines) + "\n"


def _machine(m: dict[str, Any]) -> str:
    return (
        f"{m['processor']}, {m['cores']} cores, {m['threads']} thread{'s' if m['threads'] > 1 else ''} used, "
        f"{m['system']}; Python {m['python']}, NumPy {m['numpy']}, PyTorch {m['torch']}, smeft-unbinned "
        f"{m['smeft_unbinned']}"
    )


def _join(values: Sequence[Any]) -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("bench_methods"))
    parser.add_argument("--docs", type=Path, default=Path(__file__).resolve().parents[2] / "docs")
    options = parser.parse_args()
    print(write(options.results, options.docs))


if __name__ == "__main__":
    main()
