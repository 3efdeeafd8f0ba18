"""smeft-unbinned coverage: how often the intervals of a fit contain the truth."""

from __future__ import annotations

from pathlib import Path

import click

from ..fit import FitResult
from ..runcard import Runcard
from ..statistics import coverage
from ..statistics.coverage import FILE
from ..storage import check_folder, write_text
from .interrupt import keep
from .options import SEED, assignments, note, print_frame, say


@click.command()
@click.argument("runcard", type=click.Path(path_type=Path))
@click.option("--toys", type=click.IntRange(min=1), default=1000, show_default=True,
              help="Pseudo-experiments.")  # fmt: skip
@click.option("--at", multiple=True, metavar="O=VALUE", help="The truth, TeV^-2; repeatable; default the SM.")
@click.option("--level", "levels", type=float, multiple=True, default=(0.68, 0.95), show_default=True,
              help="Nominal levels of the intervals; repeatable.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the pseudo-experiments.")
@click.option("--reference", type=click.Path(path_type=Path),
              help="A fit_result.json, whose best fit observed events represent.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path),
              help="Folder of the results; default coverage/ in that of the card.")  # fmt: skip
def command(
    runcard: Path,
    toys: int,
    at: tuple[str, ...],
    levels: tuple[float, ...],
    seed: int,
    reference: Path | None,
    output: Path | None,
) -> None:
    """Fit pseudo-experiments of all datasets of RUNCARD, and count the intervals that hold the truth.

    Events are drawn from those of the unbinned datasets, which should be simulated ones (Asimov data),
    several times as many as are expected. Results are kept as they come: after an interruption the same
    command goes on, and more --toys add to those that are there.

    \b
    Example: smeft-unbinned coverage card.yaml --toys 1000 --at OtG=0.1 --seed 1
    """
    card = Runcard.load(runcard)
    folder = check_folder(output or card.output / "coverage")
    best = None
    if reference is not None:
        result = FitResult.load(reference)
        best = {name: result.best[name] for name in result.parameters}
    keep(folder)
    found = coverage(
        card.likelihood(), assignments(at, "--at") or None, toys, levels, reference=best, seed=seed,
        folder=folder, progress=True,
    )  # fmt: skip
    table = found.table.set_index("region")
    print_frame(table, f"coverage in {toys} toys, its 68% interval, probability of one so far off")
    print_frame(found.pulls, "pulls")
    for message in found.messages:
        note(message)
    write_text(folder / "coverage.csv", found.table.to_csv(index=False))
    say(folder / "coverage.csv", "the coverage")
    say(folder / FILE, "every toy, one JSON line each")
