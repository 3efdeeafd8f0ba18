"""Figures of a comparison: intervals, saturation with the number of bins, and contours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..plots import COLOURS, REACH, _figure, _save, intervals_figure

if TYPE_CHECKING:
    from .result import Comparison

SUFFIXES = ("png", "pdf")
_STYLES = ("-", "--", ":", "-.")


def draw(comparison: Comparison, folder: Path) -> list[Path]:
    """Write every figure as PNG and PDF into a folder that exists; return the paths."""
    paths = []
    saturation = comparison.saturation
    for (terms, together), table in comparison.table.groupby(["terms", "global"], sort=False):
        text = _title(comparison, str(terms), bool(together))
        suffix = f"{terms}{'_global' if together else ''}"
        networks = None if together else _of(comparison.members, terms=terms)
        figure = intervals_figure(table, text, reference=comparison.reference, networks=networks)
        paths += _both(figure, folder, f"intervals_{suffix}")
        rows = saturation[(saturation["terms"] == terms) & (saturation["global"] == together)]
        if len(rows):
            paths += _both(
                saturation_figure(rows, comparison.reference, text), folder, f"saturation_{suffix}"
            )
        for pair, frame in comparison.contours.items():
            curves = frame[(frame["terms"] == terms) & (frame["global"] == together)]
            if len(curves):
                figure = contour_figure(curves, pair, text, comparison.reference, comparison.about["at"])
                paths += _both(figure, folder, f"contour_{'_'.join(pair)}_{suffix}")
    return paths


def _title(comparison: Comparison, terms: str, together: bool) -> str:
    about = comparison.about
    rest = ", with the global fit" if together else ""
    return f"{about.get('process') or 'events'}, {about['luminosity']:g} fb$^{{-1}}$, {terms}{rest}"


def _both(figure: Any, folder: Path, name: str) -> list[Path]:
    first = _save(figure, folder / f"{name}.{SUFFIXES[0]}")
    figure.set_layout_engine("none")  # it has its layout now, which takes longer than drawing
    return [first, *(_save(figure, folder / f"{name}.{suffix}") for suffix in SUFFIXES[1:])]


def saturation_figure(part: pd.DataFrame, reference: str, text: str) -> Any:
    """Return the figure of ratios of widths against the number of bins: a panel per fit and coefficient.

    part: rows of `Comparison.saturation` of one order. Bars are the errors from the simulation.
    """
    fits, operators, families = (_unique(part[name]) for name in ("fit", "operator", "family"))
    figure = _figure(figsize=(3.5 + 2.2 * len(operators), 1.2 + 2.2 * len(fits)))
    grid = figure.subplots(len(fits), len(operators), squeeze=False, sharex=True)
    for fit, row in zip(fits, grid, strict=True):
        for operator, axes in zip(operators, row, strict=True):
            for k, family in enumerate(families):
                own = _of(part, fit=fit, operator=operator, family=family)
                own = own[np.isfinite(own["width_ratio"].astype(float))]
                axes.errorbar(
                    own["bins"].to_numpy(float), own["width_ratio"].to_numpy(float),
                    own["width_error"].fillna(0.0).to_numpy(float), color=COLOURS[k % len(COLOURS)],
                    linestyle=_style(k), marker="o", markersize=3, capsize=2, linewidth=1.2, label=family,
                )  # fmt: skip
            axes.axhline(1.0, color="0.6", linewidth=0.8, zorder=0)
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:g}")
            axes.set_title(operator, fontsize=10)
            axes.tick_params(labelsize=8)
        row[0].set_ylabel(f"{fit}\nwidth over {reference}", fontsize=8)
    figure.supxlabel("number of bins", fontsize=9)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    figure.suptitle(text, fontsize=11)
    return figure


def contour_figure(part: pd.DataFrame, pair: tuple[str, str], text: str, reference: str, at: Any) -> Any:
    """Return the figure of the contours of all versions, the others at zero.

    part: rows of a frame of `Comparison.contours` of one order. reference: the version of whose contour at
    most REACH widths are shown. at: the point of the data by name.
    """
    versions = _unique(part["version"])
    figure = _figure(figsize=(7.5, max(4.4, 0.7 + 0.175 * len(versions))))  # the legend has a line for each
    axes = figure.subplots()
    for k, version in enumerate(versions):
        for number, (_, curve) in enumerate(_of(part, version=version).groupby("curve")):
            axes.plot(
                curve[pair[0]], curve[pair[1]], color=COLOURS[k % len(COLOURS)], linestyle=_style(k),
                linewidth=1.3, label=None if number else version,
            )  # fmt: skip
    axes.plot(*(at.get(name, 0.0) for name in pair), marker="+", color="0.3", linestyle="none", label="data")
    own = _of(part, version=reference)
    for name, limits, change in zip(
        pair, (axes.get_xlim(), axes.get_ylim()), (axes.set_xlim, axes.set_ylim), strict=True
    ):
        if len(own):
            low, high = own[name].min(), own[name].max()
            room = (REACH - 1.0) / 2.0 * (high - low)
            change(max(limits[0], low - room), min(limits[1], high + room))
    axes.set(xlabel=f"{pair[0]}, TeV$^{{-2}}$", ylabel=f"{pair[1]}, TeV$^{{-2}}$")
    axes.set_title(f"{text}: {part['level'].max():.0%}", fontsize=10)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _style(k: int) -> str:
    return _STYLES[k // len(COLOURS) % len(_STYLES)]


def _of(frame: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """Return the rows in which columns have these values."""
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame


def _unique(column: Sequence[Any] | pd.Series) -> list[Any]:
    return list(dict.fromkeys(column))
