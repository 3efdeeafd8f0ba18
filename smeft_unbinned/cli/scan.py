"""smeft-unbinned scan: -2 log L along single coefficients, and contours of two."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import click
import pandas as pd

from ..errors import InputError
from ..fit import FitResult
from ..fit.conditional import known_minima
from ..fit.identity import identity
from ..fit.scan import contour, scan
from ..likelihood import Likelihood
from ..runcard import Runcard
from ..storage import check_folder, make_folder, write_text
from .interrupt import hold
from .options import note, say, say_figure
from .unfinished import Unfinished

KINDS = {"profile": ("profile",), "individual": ("individual",), "both": ("profile", "individual")}


@click.command()
@click.argument("runcard", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1)
@click.option("--contour", "pairs", type=(str, str), multiple=True, metavar="A B",
              help="Contours of two coefficients, the others at their minimum; repeat for several pairs."
)  # fmt: skip
@click.option("--kind", type=click.Choice(list(KINDS)), default="both", show_default=True,
              help="Curves with the other coefficients at their minimum (profile), or zero (individual)."
)  # fmt: skip
@click.option("--points", type=click.IntRange(min=2), default=41, show_default=True, help="Points per curve.")
@click.option("--range", "ranges", multiple=True, metavar="NAME=LOWER,UPPER",
              help="Range of a curve; default 3.5 errors beyond the minima.")  # fmt: skip
@click.option("--level", "levels", type=click.FloatRange(0, 1, min_open=True, max_open=True), multiple=True,
              help="Level of contours and lines; repeat for several.  [default: 0.68, 0.95]")  # fmt: skip
@click.option("--result", type=click.Path(path_type=Path),
              help="fit_result.json of the same card, instead of a new fit; with samples, contours are those "
              "of the posterior density.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path),
              help="Folder; default `scan` in result_path/result_ID of the card.")  # fmt: skip
def command(
    runcard: Path, names: tuple[str, ...], pairs: tuple[tuple[str, str], ...], kind: str, points: int,
    ranges: tuple[str, ...], levels: tuple[float, ...], result: Path | None, output: Path | None,
) -> None:  # fmt: skip
    """Scan -2 log L of RUNCARD along the parameters NAMES, default all free coefficients.

    Writes scan_NAME.csv with the columns value, m2logl (relative to the SM), delta (to the lowest value), and
    for profiles where the other parameters are; scan.png with all curves; contour_A_B.csv with the columns
    level, curve, A, B, and a figure of them. With --contour alone only contours are made. What is done is
    kept: after Ctrl-C the same command goes on.

    \b
    Example: smeft-unbinned scan card.yaml cHW cHq3 --range cHW=-1,1
             smeft-unbinned scan card.yaml --contour cHW cHq3 --level 0.95
    """
    card = Runcard.load(runcard)
    folder = check_folder(output or card.output / "scan")
    likelihood = card.likelihood()
    grids = _grids(ranges, points)
    known = FitResult.load(result) if result is not None else None
    wanted = names or (() if pairs else likelihood.operators)
    for name in [*wanted, *grids, *(n for pair in pairs for n in pair)]:
        if name not in likelihood.parameters:
            raise InputError(
                f"{name!r} is not free in this card; free are {', '.join(likelihood.parameters)}"
            )
    fit, _ = known_minima(likelihood, known)
    levels = levels or (0.68, 0.95)
    source = None if result is None else hashlib.sha256(result.read_bytes()).hexdigest()
    hold(make_folder(folder))
    kept = Unfinished(folder, {"likelihood": identity(likelihood), "result": source})
    if wanted:
        _curves(likelihood, fit, wanted, grids, points, KINDS[kind], levels, folder, kept)
    for a, b in pairs:
        _contours(likelihood, fit, a, b, levels, folder, kept)
    kept.done()


def _grids(ranges: tuple[str, ...], points: int) -> dict[str, list[float]]:
    """Parse NAME=LOWER,UPPER into values."""
    grids = {}
    for text in ranges:
        name, _, ends = text.partition("=")
        try:
            lower, upper = (float(x) for x in ends.split(","))
        except ValueError:
            raise InputError(f"--range must read NAME=LOWER,UPPER, got {text!r}") from None
        if not (lower < upper and abs(lower) < float("inf") and abs(upper) < float("inf")):
            raise InputError(f"--range must have a lower end below the upper one, both finite, got {text!r}")
        grids[name.strip()] = [lower + (upper - lower) * k / (points - 1) for k in range(points)]
    return grids


def _curves(
    likelihood: Likelihood, fit: FitResult, names: tuple[str, ...], grids: dict[str, list[float]],
    points: int, kinds: tuple[str, ...], levels: tuple[float, ...], folder: Path, kept: Unfinished,
) -> None:  # fmt: skip
    curves: dict[str, list[pd.DataFrame]] = {}
    for name in names:
        curves[name] = []
        for kind in kinds:
            if kind == "individual" and name not in likelihood.operators:
                continue
            grid, known = grids.get(name, points), fit if kind == "profile" else None
            make = partial(scan, likelihood, name, grid, result=known, kind=kind, progress=True)
            frame = kept.table(f"scan_{name}_{kind}", make, points=grid)
            if not frame["converged"].all():
                note(f"{name}, {kind}: no minimum was found at {int((~frame['converged']).sum())} points")
            curves[name].append(frame)
            path = folder / (f"scan_{name}.csv" if kind == "profile" else f"scan_{name}_{kind}.csv")
            write_text(path, frame.to_csv(index=False))
            say(path, f"{kind} curve of {name}")

    def draw() -> Path:
        from ..scan_plots import scans

        return scans(curves, levels, folder / "scan.png")

    say_figure(draw, "the curves")


def _contours(
    likelihood: Likelihood, fit: FitResult, a: str, b: str, levels: tuple[float, ...], folder: Path,
    kept: Unfinished,
) -> None:  # fmt: skip
    kind = "profile" if fit.samples is None else "posterior"

    def make() -> pd.DataFrame:
        found = contour(likelihood, a, b, levels, result=fit, kind=kind, progress=True)
        rows = [
            frame.assign(level=level, curve=k)[["level", "curve", a, b]]
            for level, frames in found.items()
            for k, frame in enumerate(frames)
        ]
        return pd.concat(rows, ignore_index=True)

    path = folder / f"contour_{a}_{b}.csv"
    table = kept.table(path.stem, make, levels=levels)
    write_text(path, table.to_csv(index=False))
    curves = {
        level: [frame[[a, b]] for _, frame in table[table["level"] == level].groupby("curve")]
        for level in levels
    }
    say(path, f"{kind} contours of {a} and {b}")

    def draw() -> Path:
        from ..scan_plots import contours

        return contours(curves, path.with_suffix(".png"), fit.best)

    say_figure(draw, "the contours")
