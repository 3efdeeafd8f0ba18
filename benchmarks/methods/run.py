"""Measure every training method: accuracy, intervals, coverage and cost, and write one report.

python benchmarks/methods/run.py [--stages table,peers,...] [--output bench_methods]

Every stage keeps its results as JSON files in OUTPUT/STAGE and skips what is there already for the same
settings and code, so that a run that was ended goes on where it stopped. Set OMP_NUM_THREADS=1: processor
times are those of one thread. The whole takes about a hundred minutes of processor time; --scale 0.02 tries
it out in a few.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import coverage
import ensemble50
import peers
import report
import smeared
import table
import torch
from common import PROBLEMS, Bench

from smeft_unbinned.errors import InputError

STAGES = ("table", "peers", "ensemble50", "smeared", "coverage", "report")
ROOT = Path(__file__).resolve().parents[2]


def names(text: str, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Return names separated by commas; raise InputError for an unknown one."""
    found = tuple(name for name in text.split(",") if name)
    for name in found:
        if name not in known:
            raise InputError(f"unknown {what} {name!r}; known are {', '.join(known)}")
    return found


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--output", type=Path, default=Path("bench_methods"), help="folder of the results")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on events, toys and epochs")
    parser.add_argument("--replicas", type=int, help="of all methods but the default one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--redo", default="", help="stages to make anew, separated by commas")
    parser.add_argument("--any-code", action="store_true", help="keep results of other versions of the code")
    parser.add_argument("--problems", default="", help=f"of the table, out of {', '.join(PROBLEMS)}")
    parser.add_argument("--methods", default="", help="of the table; default all")
    parser.add_argument("--ml4eft-python", type=Path, help="python of an environment with ml4eft")
    parser.add_argument("--madminer-python", type=Path, help="python of an environment with madminer")
    parser.add_argument("--peers-input", type=Path, help="samples of make_inputs.py, made unless there")
    parser.add_argument("--peers-output", type=Path, help="what the peers' programs wrote, made unless there")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the report goes")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    try:
        stages = names(options.stages, STAGES, "stage")
        redo = frozenset(names(options.redo, STAGES, "stage"))
        if not 0 < options.scale <= 1:
            raise InputError(f"the scale must lie above 0 and at most be 1, got {options.scale}")
        bench = Bench(
            options.output, options.scale, options.seed, options.replicas, redo, bool(options.any_code)
        )
        if "table" in stages:
            chosen = names(options.methods, tuple(table.methods()), "method")
            table.run(bench, problems=names(options.problems, tuple(PROBLEMS), "problem"), chosen=chosen)
        if "peers" in stages:
            peers.run(
                bench,
                ml4eft=options.ml4eft_python,
                madminer=options.madminer_python,
                inputs=options.peers_input or bench.folder / "peers_input",
                outputs=options.peers_output or bench.folder / "peers_output",
            )
        for name, stage in (("ensemble50", ensemble50), ("smeared", smeared), ("coverage", coverage)):
            if name in stages:
                stage.run(bench)
        if "report" in stages:
            print(f"report: {report.write(bench.folder, options.docs)}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
