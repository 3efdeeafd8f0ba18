"""Figures of scans and contours; matplotlib is an extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from .plots import COLOURS, _figure, _save
from .quantiles import chi2_quantile

_LINES = {"profile": "-", "individual": "--"}


def scans(curves: Mapping[str, Sequence[pd.DataFrame]], levels: Sequence[float], path: Path) -> Path:
    """Draw the curves of `fit.scan.scan`: a panel per parameter, a line per kind, and the levels across.

    curves: by parameter, frames with the columns value and delta and the attribute kind.
    """
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure = _figure(figsize=(3.4 * columns, 2.8 * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    top = 1.6 * max(float(chi2_quantile(x, 1)) for x in levels)
    for axes, (name, frames) in zip(grid.flat, curves.items(), strict=False):
        for frame, colour in zip(frames, COLOURS[1:], strict=False):
            kind = frame.attrs.get("kind", "profile")
            axes.plot(frame["value"], frame["delta"], _LINES.get(kind, "-"), color=colour, label=kind)
        for level in levels:
            axes.axhline(float(chi2_quantile(level, 1)), color="0.7", linewidth=0.8, zorder=0)
        axes.set(xlabel=f"{name}, TeV$^{{-2}}$", ylabel=r"$-2\,\Delta\log L$", ylim=(0, top))
        axes.locator_params(axis="x", nbins=5)
        if len(frames) > 1:
            axes.legend(frameon=False, fontsize=8)
    for axes in list(grid.flat)[len(curves) :]:
        axes.set_axis_off()
    return _save(figure, path)


def contours(
    curves: Mapping[float, Sequence[pd.DataFrame]], path: Path, best: Mapping[str, float] | None = None
) -> Path:
    """Draw the curves of `fit.scan.contour`, and the best fit if it is given."""
    figure = _figure(figsize=(4.6, 4.0))
    axes = figure.subplots()
    names: list[str] = []
    for (level, frames), colour in zip(sorted(curves.items()), COLOURS[1:], strict=False):
        for k, frame in enumerate(frames):
            names = [str(n) for n in frame.columns]
            axes.plot(
                frame.iloc[:, 0], frame.iloc[:, 1], color=colour, label=f"{level:.4g}" if k == 0 else None
            )
    if best is not None and names:
        axes.plot(best[names[0]], best[names[1]], "+", color=COLOURS[0])
    axes.plot(0, 0, "*", color="0.5", label="SM", linestyle="none")
    if names:
        axes.set(xlabel=f"{names[0]}, TeV$^{{-2}}$", ylabel=f"{names[1]}, TeV$^{{-2}}$")
    axes.legend(frameon=False, fontsize=8)
    return _save(figure, path)
