"""smeft-unbinned demo: the whole path on an embedded example."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import require
from .compare import print_comparison
from .options import console, folder, say, seed_option


@click.command()
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("demo_output"),
              show_default=True, callback=folder, help="Folder for everything that is made.")  # fmt: skip
@click.option("--events", default=100_000, show_default=True, help="Training events.")
@click.option("--asimov", default=50_000, show_default=True, help="Events of the Asimov sample.")
@click.option("--replicas", default=10, show_default=True, help="Networks in the ensemble.")
@click.option("--epochs", default=25, show_default=True, help="Passes over the events, at most.")
@seed_option
def command(output: Path, events: int, asimov: int, replicas: int, epochs: int, seed: int) -> None:
    """Measure pp -> ZH at 14 TeV unbinned: generate, train, export, fit, and compare with the exact answer.

    Ends with a table and a figure of the intervals of six coefficients from the exact likelihood, from the
    network, from STXS bins of the same events, and from the network combined with binned data.

    \b
    Example: smeft-unbinned demo -o demo_output
    """
    require("torch", "train")
    require("matplotlib", "plot")
    from .. import demo

    sizes = demo.Sizes(events, asimov, replicas, epochs, seed)
    table = demo.run(output, sizes, say=lambda text: console.print(text, markup=False, highlight=False))
    print_comparison(table, demo.EXACT)
    say(output / "intervals.png", "the same as a figure")
    say(
        output / "card.yaml",
        "the runcard of the combined fit; try: smeft-unbinned fit " + str(output / "card.yaml"),
    )
