"""smeft-unbinned compare: exact, network and binned intervals from the same events."""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from ..comparison import LEVELS, Comparison, ComparisonCard, run, wide, width_ratios
from ..errors import InputError, require
from ..storage import check_folder, make_folder
from .interrupt import hold, keep
from .options import note, print_frame, say


@click.command()
@click.argument("card", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path),
              help="Folder of the results; default the card's `output`.")  # fmt: skip
def command(card: Path, output: Path | None) -> None:
    """Compare what one measurement tells when its events are read in several ways.

    CARD is a YAML file. From the same simulated events it makes the exact unbinned likelihood, its shape
    alone, that of a network (trained here if the card says so), and binned ones: the rate, STXS bins, given
    edges, bins of equal content, bins in the learned score, and edges that keep most information.

    \b
      process: {name: ZH, n: 100000, operators: [cHW, cHq3]}    # or events: zh.events
      train: {replicas: 5, epochs: 25}                          # or model: zh.model
      luminosity: 300
      efficiency: 0.0118
      quadratic: both
      schemes:
        - rate
        - stxs
        - {bins: {m_zh: [0, 300, 500, .inf], cos_theta_star: [-1, 0, 1]}, likelihood: both}
        - {equal: [m_zh], n: [2, 4, 8, 16, 32, 64]}
        - {score: [2, 4, 8]}
        - {optimal: [m_zh], n: 4}

    Writes intervals.csv, gains.csv, saturation.csv, comparison.json, and figures as PNG and PDF. Prints
    intervals, and their widths relative to the exact ones. Events, model and the fits of every version are
    kept in the folder: after Ctrl-C the same command goes on.

    \b
    Example: smeft-unbinned compare zh.yaml
             smeft-unbinned compare zh.yaml -o results/zh
    """
    content = ComparisonCard.load(card)
    folder = check_folder(output or content.folder / content.output)
    keep(folder)
    hold(make_folder(folder))
    comparison = run(content, folder=folder, progress=True)
    print_gains(comparison)
    for path in comparison.save(folder):
        if path.suffix != ".pdf":
            say(
                path,
                "all of it" if path.suffix == ".json" else "a table" if path.suffix == ".csv" else "a figure",
            )
    try:
        require("matplotlib", "plot")
    except InputError as error:
        note(f"no figure: {error}")


def print_gains(comparison: Comparison) -> None:
    """Print intervals at the highest level, widths relative to the reference, and the notes of the fits."""
    level = float(comparison.about["level"])
    for (terms, together), part in comparison.table.groupby(["terms", "global"], sort=False):
        rest = ", with the global fit" if together else ""
        for fit in dict.fromkeys(part["fit"]):
            print_frame(wide(part, fit, level), f"{level:.0%} intervals in TeV^-2, {fit}, {terms}{rest}")
            ratios = comparison.ratios(fit, str(terms), bool(together))
            title = (
                f"width of the {level:.0%} interval over the {comparison.reference} one, {fit}, {terms}{rest}"
            )
            print_frame(ratios.T, title, 3)
    print_notes(comparison.table)


def print_comparison(table: pd.DataFrame, reference: str) -> None:
    """Print a table of `compare`: intervals at both levels, widths relative to the reference, and notes."""
    for fit in dict.fromkeys(table["fit"]):
        for level in LEVELS:
            print_frame(wide(table, fit, level), f"{level:.0%} intervals in TeV^-2, {fit}")
    ratios = width_ratios(table, reference, LEVELS[-1])
    for fit in dict.fromkeys(table["fit"]):
        frame = ratios.loc[fit].loc[list(dict.fromkeys(table[table["fit"] == fit]["operator"]))]
        frame = frame[list(dict.fromkeys(table["version"]))]
        print_frame(frame.T, f"width of the {LEVELS[-1]:.0%} interval over the {reference} one, {fit}", 3)
    print_notes(table)


def print_notes(table: pd.DataFrame) -> None:
    """Print what the fits had to say."""
    noted = table[table["note"] != ""].drop_duplicates(["fit", "version", "note"])
    for row in noted.itertuples():
        note(f"{row.version}, {row.fit}: {row.note}")
