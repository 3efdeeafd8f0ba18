"""smeft-unbinned chi2: how well the datasets of a card agree with a point."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import InputError
from ..fit import FitResult
from ..polynomial import Point
from ..runcard import Runcard
from ..statistics import goodness
from ..storage import write_text
from .options import SEED, assignments, note, print_frame, say, target


@click.command()
@click.argument("runcard", type=click.Path(path_type=Path))
@click.option("--at", multiple=True, metavar="O=VALUE", help="Where, TeV^-2; repeatable; default the SM.")
@click.option("--result", type=click.Path(path_type=Path), help="A fit_result.json, whose best fit is where.")
@click.option("--toys", type=click.IntRange(min=0), default=0, show_default=True,
              help="Pseudo-experiments from which p is taken.")  # fmt: skip
@click.option("--refit/--no-refit", default=False, show_default=True, help="Fit every pseudo-experiment.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the pseudo-experiments.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), callback=target,
              help="CSV file for the table.")  # fmt: skip
def command(
    runcard: Path,
    at: tuple[str, ...],
    result: Path | None,
    toys: int,
    refit: bool,
    seed: int,
    output: Path | None,
) -> None:
    """Print chi2 by measurement and in total, with p-values, of the datasets of RUNCARD.

    Binned measurements have chi2, counts a deviance, events -2 log L relative to the SM, which needs toys for
    its p. Toys need simulated events: a card whose unbinned datasets are Asimov data.

    \b
    Example: smeft-unbinned chi2 card.yaml --result results/card/fit_result.json
    """
    where: FitResult | Point | None = assignments(at, "--at") or None
    if result is not None:
        if at:
            raise InputError("--at and --result both say where; give one of them")
        where = FitResult.load(result)
    likelihood = Runcard.load(runcard).likelihood()
    found = goodness(likelihood, where, toys=toys, refit=refit, seed=seed, progress=True)
    table = found.table.astype({"points": object})
    print_frame(table[["kind", "value", "points", "per point", "p", "method"]], "agreement with the data")
    if len(found.events):
        print_frame(found.events, "numbers of events")
    for message in found.messages:
        note(message)
    if output is not None:
        write_text(output, found.table.to_csv())
        say(output, "the table")
