"""smeft-unbinned smefit: a fit of a runcard by SMEFiT, unbinned datasets included."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import yaml

from ..engine import blocks
from ..errors import InputError
from ..storage import make_folder, write_text
from .options import KEY, note, say

SMEFIT = "from smefit.cli import base_command; base_command()"
"""The program `smefit`, which need not be on the path."""


@click.command()
@click.argument("runcard", type=click.Path(path_type=Path))
@click.argument("mode", default="NS", metavar="[MODE]")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTION...]")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="Of MPI, for NS.")
@click.option("--dry-run", is_flag=True, help="Write the runcard for SMEFiT and say how to run it; no more.")
def command(runcard: Path, mode: str, options: tuple[str, ...], processes: int, dry_run: bool) -> None:
    """Fit a runcard with SMEFiT: nested sampling (NS, the default), or a scan (SCAN).

    Entries {name, unbinned: FILE} of `datasets` become external chi2 in RESULT_PATH/RESULT_ID.smefit.yaml,
    the card that SMEFiT gets. What follows `--` are options of smefit. Modes that leave external chi2 out
    (A, MC, PREFIT, PCA, R) are refused where there are any. The exit code is that of smefit.

    \b
    Example: smeft-unbinned smefit card.yaml
             smeft-unbinned smefit card.yaml NS --processes 4 -- --log_file fit.log
             smeft-unbinned smefit card.yaml SCAN -- --scan_points 50
    """
    from plugins.smefit import FITTER, checks, modes
    from plugins.smefit.runcard import load

    if mode.startswith("-"):
        mode, options = "NS", (mode, *options)
    card = load(runcard)
    modes.refuse(mode, card, options)
    checks.check_card(card)
    if processes > 1 and mode != "NS":
        raise InputError(f"smefit {mode} runs in one process; leave --processes off")
    if not dry_run:
        FITTER.require()
    start = _mpi(processes)
    if mode == "R":
        modes.refuse_report(runcard)
        path = runcard
    else:
        path = make_folder(card["result_path"]) / f"{card['result_ID']}.smefit.yaml"
        write_text(path, yaml.safe_dump(card, sort_keys=False))
        say(path, "the runcard of SMEFiT")
    arguments = [mode, str(path), *options]
    if dry_run:
        note(f"run it with: {shlex.join([*start, 'smefit', *arguments])}")
        return
    if mode == "SCAN" and shutil.which("latex") is None:
        note("SMEFiT draws scans with LaTeX, which is not found: it will fail after it wrote chi2_scan.json")
    environment = {"OMP_NUM_THREADS": str(max(blocks.available() // processes, 1)), **os.environ}
    context = click.get_current_context()
    done = subprocess.run(
        [*start, sys.executable, "-c", SMEFIT, *arguments],
        env=environment,
        stdout=sys.__stderr__ if KEY in context.meta else None,  # with --json, standard output has that alone
    )
    context.exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)


def _mpi(processes: int) -> list[str]:
    """Return what starts so many processes of MPI; raise InputError where that is not installed."""
    if processes == 1:
        return []
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None or importlib.util.find_spec("mpi4py") is None:
        raise InputError(
            "--processes needs mpiexec and the package mpi4py; install both with: pip install mpich mpi4py"
        )
    return [mpiexec, "-n", str(processes)]
