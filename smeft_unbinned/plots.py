"""Figures. matplotlib is an extra; every function writes one file and returns its path."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .errors import require
from .storage import write_bytes

COLOURS = ("#222222", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's palette: distinct to colour-blind readers."""
REACH = 6.0
"""Widths of the interval of the reference that a panel shows at most."""


def _figure(**options: Any) -> Any:
    """Return a figure that is not tied to any window or to pyplot's global state."""
    require("matplotlib", "plot")
    from matplotlib.figure import Figure

    return Figure(layout="constrained", **options)


def _save(figure: Any, path: Path) -> Path:
    buffer = io.BytesIO()
    kind = path.suffix[1:] or "png"
    dateless = {"CreationDate": None} if kind == "pdf" else None  # the same figure is the same file
    figure.savefig(buffer, format=kind, dpi=150, metadata=dateless)
    write_bytes(path, buffer.getvalue())
    return path


def training_curves(history: Sequence[Mapping[str, Sequence[float]]], path: Path) -> Path:
    """Draw the loss of every member against the epoch, on training and held-out events, and the mean.

    Losses that fall by less than a factor of ten, as cross-entropies do, are drawn as their excess over each
    curve's minimum. The scale is logarithmic unless a loss is zero or negative; the minima of an excess have
    no place on it.
    """
    curves = {kind: np.array([entry[kind] for entry in history]) for kind in ("training", "validation")}
    values = np.concatenate(list(curves.values()))
    flat = len(history) > 1 and np.ptp(values) < 0.9 * np.abs(values).max()
    figure = _figure(figsize=(6, 4))
    axes = figure.subplots()
    for (kind, losses), colour in zip(curves.items(), (COLOURS[0], COLOURS[2]), strict=True):
        shown = losses - losses.min(axis=0) if flat else losses
        mean = shown.mean(axis=1)
        if flat:
            shown, mean = (np.where(y > 0, y, np.nan) for y in (shown, mean))
        epochs = np.arange(1, len(history) + 1)
        axes.plot(epochs, shown, color=colour, alpha=0.35, linewidth=0.8)
        axes.plot(epochs, mean, color=colour, label={"validation": "held out"}.get(kind, kind))
    axes.set(xlabel="epoch", ylabel="loss, excess over its minimum" if flat else "loss",
             yscale="log" if flat or np.all(values > 0) else "linear",
             title="Training: every member, and the mean")  # fmt: skip
    axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=False)
    return _save(figure, path)


def intervals(table: pd.DataFrame, path: Path, title: str = "") -> Path:
    """Draw the intervals of `comparison.compare` into a file, see `intervals_figure`."""
    return _save(intervals_figure(table, title), path)


def intervals_figure(
    table: pd.DataFrame,
    title: str = "",
    *,
    reference: str | None = None,
    networks: pd.DataFrame | None = None,
) -> Any:
    """Return the figure of intervals of `compare`, or a part of `Comparison.table`: a panel per coefficient.

    A line per version, of several pieces where an interval has them, dotted where it has no ends. Thick bars
    are the smallest level, thin ones the largest; the upper row has one coefficient at a time, the lower one
    all together.
    reference: a version of which panels show at most REACH widths; what lies beyond is cut off.
    networks: a part of `Comparison.members`, whose ends at the largest level are shaded.
    """
    kinds, operators = list(dict.fromkeys(table["fit"])), list(dict.fromkeys(table["operator"]))
    versions, levels = list(dict.fromkeys(table["version"])), sorted(table["level"].unique())
    size = (2.0 + 1.9 * len(operators), 0.8 + (0.5 + 0.32 * len(versions)) * len(kinds))
    figure = _figure(figsize=size)
    grid = figure.subplots(len(kinds), len(operators), squeeze=False, sharey=True)
    for kind, row in zip(kinds, grid, strict=True):
        for operator, axes in zip(operators, row, strict=True):
            part = table[(table["fit"] == kind) & (table["operator"] == operator)]
            for y, version in enumerate(versions):
                own = part[part["version"] == version]
                _bars(axes, own, y, levels)
                if networks is not None:
                    chosen = networks[(networks["fit"] == kind) & (networks["operator"] == operator)]
                    _shade(axes, chosen[chosen["version"] == version], y, levels[-1])
            _zoom(axes, part[(part["version"] == reference) & (part["level"] == levels[-1])])
            axes.axvline(0.0, color="0.8", linewidth=0.8, zorder=0)
            axes.set_title(operator, fontsize=10)
            axes.tick_params(labelsize=8)
            axes.locator_params(axis="x", nbins=4)
        row[0].set_yticks(range(len(versions)), versions, fontsize=8)
        row[0].set_ylim(len(versions) - 0.5, -0.5)
        row[0].set_ylabel(kind, fontsize=9)
    figure.supxlabel(
        "coefficient, TeV$^{-2}$   (thick: " + ", thin: ".join(f"{x:.0%}" for x in levels) + ")", fontsize=9
    )
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _bars(axes: Any, own: pd.DataFrame, y: int, levels: Sequence[float]) -> None:
    """Draw the pieces of the intervals of one version in line y."""
    for level in levels:
        options = {"color": COLOURS[y % len(COLOURS)], "linewidth": 5 if level == levels[0] else 1.5}
        for ends in own[own["level"] == level][["lower", "upper"]].to_numpy(float):
            if np.isfinite(ends).all():
                axes.plot(ends, [y, y], solid_capstyle="butt", **options)
            elif not np.isnan(ends).any():
                axes.axhline(y, linestyle=":", **options)


def _shade(axes: Any, own: pd.DataFrame, y: int, level: float) -> None:
    """Shade where the ends of single networks lie."""
    rows = own[own["level"] == level]
    for end in ("lower", "upper"):
        if rows[end].notna().any():
            width = rows[end].max() - rows[end].min()
            axes.barh(y, width, 0.7, rows[end].min(), color=COLOURS[y % len(COLOURS)], alpha=0.35)


def _zoom(axes: Any, rows: pd.DataFrame) -> None:
    """Let a panel reach no further than REACH widths around the intervals in the rows of a frame."""
    if not len(rows) or not np.isfinite(rows[["lower", "upper"]].to_numpy(float)).all():
        return
    low, high = float(rows["lower"].min()), float(rows["upper"].max())
    left, right = axes.get_xlim()
    room = (REACH - 1.0) / 2.0 * (high - low)
    axes.set_xlim(max(left, low - room), min(right, high + room))
