"""smeft-unbinned fisher: which measurement of a card constrains which coefficient."""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from ..fit import FitResult
from ..runcard import Runcard
from ..statistics import Fisher, fisher
from ..statistics.fisher import SPLITS
from ..storage import make_folder, write_text
from .options import assignments, folder, note, print_frame, say

FEW = 6
"""Measurements up to which the whole table is printed."""


@click.command()
@click.argument("runcard", type=click.Path(path_type=Path))
@click.option("--at", multiple=True, metavar="O=VALUE", help="Where, TeV^-2; repeatable; default the SM.")
@click.option("--result", type=click.Path(path_type=Path), help="A fit_result.json, whose best fit is where.")
@click.option("--split", type=click.Choice(SPLITS), default="additive", show_default=True,
              help="How correlated binned measurements share their information.")  # fmt: skip
@click.option("--leading", type=click.IntRange(min=1), default=4, show_default=True,
              help="Coefficients named per principal component.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), callback=folder,
              help="Folder for the whole tables: CSV, and JSON of everything.")  # fmt: skip
def command(
    runcard: Path, at: tuple[str, ...], result: Path | None, split: str, leading: int, output: Path | None
) -> None:  # fmt: skip
    """Print who constrains what: the expected Fisher information of the datasets of RUNCARD.

    Shares are of the information on a coefficient alone, in percent. Errors: "individual" with all other
    coefficients fixed, "marginal" with all of them free. "additive" shares of correlated measurements add up,
    and may be negative; "conditional" ones are those of SMEFiT's tables.

    \b
    Example: smeft-unbinned fisher card.yaml --at OtG=0.1 -o fisher
    """
    where = point(at, result)
    found = fisher(Runcard.load(runcard).likelihood(), where, split=split)
    print_frame(shares(found), "expected errors in TeV^-2, and shares of the information in percent")
    components = found.principal_components(leading)
    columns = ["error", "direction", "fraction", "measurement", "share"]
    print_frame(components[columns], "principal components, the best constrained first")
    for direction in found.flat:
        note(f"no dataset constrains the direction {direction} at this point")
    if output is not None:
        write(found, components, make_folder(output))


def point(at: tuple[str, ...], result: Path | None) -> dict[str, float] | None:
    """Return the point of the options --at and --result, the latter overridden by the former."""
    values: dict[str, float] = {}
    if result is not None:
        best = FitResult.load(result)
        values = {name: best.best[name] for name in best.parameters}
    return {**values, **assignments(at, "--at")} or None


def shares(found: Fisher) -> pd.DataFrame:
    """Return errors and shares by coefficient: all shares if there are few, else the largest three."""
    table, frame = found.table.loc[list(found.operators)], found.errors
    if len(table.columns) <= FEW:
        return frame.join(table)
    for k in range(3):
        cells = []
        for name in frame.index:
            row = table.loc[name].fillna(0.0).sort_values(ascending=False, kind="stable")
            cells.append(f"{row.index[k]} {row.iloc[k]:.1f}" if row.iloc[k] > 0.05 else "")
        frame[("first", "second", "third")[k]] = cells
    return frame


def write(found: Fisher, components: pd.DataFrame, output: Path) -> None:
    """Write fisher.csv, information.csv, components.csv, and fisher.json with all of it and the matrix."""
    frames = {
        "shares": found.table, "information": found.information, "components": components,
        "errors": found.errors, "matrix": found.matrix, "eigenvectors": found.eigen,
    }  # fmt: skip
    for key, file in (("shares", "fisher"), ("information", "information"), ("components", "components")):
        write_text(output / f"{file}.csv", frames[key].to_csv())
    parts = [f'"{k}": {f.to_json(orient="index", double_precision=15)}' for k, f in frames.items()]
    parts.append(f'"point": {pd.Series(dict(found.point)).to_json(double_precision=15)}')
    write_text(output / "fisher.json", "{" + ",\n".join(parts) + "}\n")
    say(output, "fisher.csv (percent), information.csv, components.csv, fisher.json")
