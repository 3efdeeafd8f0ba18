"""smeft-unbinned report: one page about the results of fits."""

from __future__ import annotations

from pathlib import Path

import click

from .interrupt import hold
from .options import say, target


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    callback=target,
    help="The page; its files go to NAME_files beside it.",
)
@click.option("--title", help="Of the page; default the names of the folders.")
def command(folders: tuple[Path, ...], output: Path, title: str | None) -> None:
    """Write one HTML page about the results in folders DIR, which needs no network.

    Several folders are shown side by side. What is looked for there, and in the folders directly in them: the
    results of `fit`, also of one or two coefficients at a time, of `scan`, `diagnose` and `compare`, and the
    training of models. chi2, Fisher information and contours of pairs of coefficients are computed anew, if
    the data of the runcard are still there. All figures are written as PNG and PDF too, if matplotlib is
    installed, and all tables as CSV; files that only an earlier report of this name wrote are removed.

    \b
    Example: smeft-unbinned report results/linear results/quadratic -o report.html
    """
    from ..report import report

    hold(output)
    page = report(folders, output, title=title, progress=True)
    say(page, "the report")
    say(page.with_name(f"{page.stem}_files"), "its figures and tables as files")
