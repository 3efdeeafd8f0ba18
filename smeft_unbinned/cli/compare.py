"""smeft-unbinned compare: exact, network and binned intervals from the same events."""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from ..compare import LEVELS, compare, wide, width_ratios
from ..datasets import histogram
from ..errors import InputError, require
from ..events import Events
from ..export import FB_PER_PB, export
from ..likelihood import Likelihood
from ..plots import intervals
from ..runcard import Runcard
from ..storage import make_folder, write_text
from .options import (
    edges,
    efficiency_option,
    folder,
    luminosity_option,
    note,
    operators_option,
    print_frame,
    say,
    say_figure,
)


@click.command()
@click.argument("events", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="Estimator written by train.")
@luminosity_option
@efficiency_option
@click.option("--bins", multiple=True, metavar="FEATURE=E0,E1,...",
              help="Bin edges of a feature (inf allowed); several features make a grid.")  # fmt: skip
@click.option(
    "--card", type=click.Path(path_type=Path), help="Runcard of further datasets, combined with the network."
)
@operators_option
@click.option(
    "--together/--alone", default=True, show_default=True, help="Also fit all coefficients at once."
)
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("comparison"),
              show_default=True, callback=folder, help="Folder for table and figure.")  # fmt: skip
def command(
    events: Path, model: Path | None, luminosity: float | None, efficiency: float, bins: tuple[str, ...],
    card: Path | None, operators: tuple[str, ...] | None, together: bool, output: Path,
) -> None:  # fmt: skip
    """Compare what the Asimov data of EVENTS (simulated, with truth) tell when read in several ways.

    \b
    Example: smeft-unbinned compare asimov.events --model zh.model --luminosity 300 \\
               --bins pt_z=75,150,250,400,inf
    """
    sample = Events.load(events)
    versions = {
        "exact": Likelihood([export(None, sample, None, luminosity, name="exact", efficiency=efficiency)])
    }
    if model is not None:
        require("torch", "train")
        from ..estimators import Estimator

        network = export(
            Estimator.load(model), sample, None, luminosity, name="network", efficiency=efficiency
        )
        versions["network"] = Likelihood([network])
    if bins and luminosity is not None:
        versions["bins"] = Likelihood(
            [histogram("bins", sample, edges(bins), luminosity * FB_PER_PB * efficiency)]
        )
    if card is not None:
        if model is None:
            raise InputError("--card combines its datasets with the network: give --model too")
        more = Runcard.load(card).load_datasets()
        versions["network + card"] = Likelihood([network.in_basis(more[0].basis), *more])
    chosen = operators or sample.operators
    unknown = [name for name in chosen if name not in sample.operators]
    if unknown:
        raise InputError(
            f"the events do not depend on {', '.join(unknown)}; they know {', '.join(sample.operators)}"
        )
    table = compare(versions, chosen, together=together, progress=True)
    make_folder(output)
    write_text(output / "intervals.csv", table.to_csv(index=False))
    print_comparison(table, "exact")
    say(output / "intervals.csv", "the table")
    say_figure(lambda: intervals(table, output / "intervals.png"), "the figure")


def print_comparison(table: pd.DataFrame, reference: str) -> None:
    """Print intervals at both levels, widths relative to the reference, and the notes of the fits."""
    for fit in dict.fromkeys(table["fit"]):
        for level in LEVELS:
            print_frame(wide(table, fit, level), f"{level:.0%} intervals in TeV^-2, {fit}")
    ratios = width_ratios(table, reference, LEVELS[-1])
    for fit in dict.fromkeys(table["fit"]):
        frame = ratios.loc[fit].loc[list(dict.fromkeys(table[table["fit"] == fit]["operator"]))]
        frame = frame[list(dict.fromkeys(table["version"]))]
        print_frame(frame, f"width of the {LEVELS[-1]:.0%} interval over the {reference} one, {fit}", 3)
    noted = table[table["note"] != ""].drop_duplicates(["fit", "version", "operator", "note"])
    for row in noted.drop_duplicates(["fit", "version", "note"]).itertuples():
        note(f"{row.version}, {row.fit}: {row.note}")
