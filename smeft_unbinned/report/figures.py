"""The figures of the report for papers and slides, drawn with matplotlib, which is an extra.

Every function writes one file and returns its path.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..fit import FitResult
from ..plots import COLOURS, _figure, _save
from ..quantiles import chi2_quantile
from .found import Pair
from .frames import ABSENT, FAILED
from .planes import Plane

UNIT = "TeV$^{-2}$"
WIDE = 30.0
"""Ratio of the errors of two coefficients from which on the axis is that of a signed logarithm."""
LEVEL = 0.95


def literal(text: object) -> str:
    """Return text in which no dollar starts a formula."""
    return str(text).replace("$", r"\$")


def intervals(table: pd.DataFrame, path: Path) -> Path:
    """Draw `frames.intervals`: a row per parameter, in it a line per fit; thick the smallest level."""
    names, every = list(dict.fromkeys(table["parameter"])), list(dict.fromkeys(table["fit"]))
    fits = [fit for fit in every if (table.loc[table["fit"] == fit, "status"] == "valid").any()]
    colours = {fit: COLOURS[(k + 1) % len(COLOURS)] for k, fit in enumerate(every)}
    table = table[table["fit"].isin(fits)]
    levels = [c.removesuffix(" lower") for c in map(str, table) if c.endswith(" lower")]
    figure = _figure(figsize=(6.5, 1.2 + len(names) * (0.08 + 0.065 * len(fits))))
    axes = figure.subplots()
    for (_, row), place in zip(table.iterrows(), _places(names, fits), strict=True):
        colour = colours[row["fit"]]
        if row["status"] in (ABSENT, FAILED):
            axes.text(0.01, place, row["status"], transform=axes.get_yaxis_transform(), fontsize=4.5,
                      color=colour, va="center", style="italic")  # fmt: skip
            continue
        for level in levels:
            ends = [row[f"{level} lower"], row[f"{level} upper"]]
            axes.plot(ends, [place, place], color=colour, solid_capstyle="butt",
                      linewidth=2.5 if level == levels[0] and len(levels) > 1 else 1.0)  # fmt: skip
        axes.plot(row["best"], place, "|", color=COLOURS[0], markersize=4, markeredgewidth=0.7)
    for fit, colour in colours.items():
        label = literal(fit) if fit in fits else f"{literal(fit)}: {FAILED}"
        axes.plot([], [], color=colour, linewidth=3, label=label)
    errors = table["error"].to_numpy(float)
    errors = errors[np.isfinite(errors) & (errors > 0)]
    if errors.size and errors.max() > WIDE * errors.min():
        axes.set_xscale("symlog", linthresh=10.0 ** np.floor(np.log10(np.quantile(errors, 0.2))))
    axes.axvline(0.0, color="0.8", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(names)), [literal(n) for n in names], fontsize=7)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel(f"{UNIT}   ({', '.join(levels)})", fontsize=8)
    axes.legend(frameon=False, fontsize=7, loc="upper right")
    return _save(figure, path)


def _places(names: Sequence[str], fits: Sequence[str]) -> list[float]:
    """Return the heights of all rows of `frames.intervals`, parameter by parameter, fit by fit."""
    inside = (np.arange(len(fits)) - (len(fits) - 1) / 2) * 0.7 / max(len(fits), 1)
    return [float(k + y) for k in range(len(names)) for y in inside]


def matrix(table: pd.DataFrame, path: Path, *, signed: bool, label: str) -> Path:
    """Draw a table of numbers as colours: correlations, from -1 to 1, or shares, from 0 to 100."""
    rows, columns = table.shape
    figure = _figure(figsize=(2.2 + 0.16 * columns, 1.6 + 0.14 * rows))
    axes = figure.subplots()
    values = np.ma.masked_invalid(table.to_numpy(float))
    scale: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1}
    image = axes.imshow(
        values, aspect="auto", **(scale if signed else {"cmap": "Blues", "vmin": 0, "vmax": 100})
    )
    axes.set_yticks(range(rows), [literal(n) for n in table.index], fontsize=6)
    axes.set_xticks(range(columns), [literal(n) for n in table.columns], rotation=90, fontsize=6)
    bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 6 / (0.14 * rows + 1)))
    bar.set_label(label, fontsize=7)
    bar.ax.tick_params(labelsize=6)
    return _save(figure, path)


def components(table: pd.DataFrame, path: Path) -> Path:
    """Draw the errors of the principal components, best constrained first; flat ones have none."""
    shown = table[np.isfinite(table["error"])]
    figure = _figure(figsize=(6.5, 1.0 + 0.16 * len(table)))
    axes = figure.subplots()
    axes.plot(
        shown["error"], [list(table.index).index(n) for n in shown.index], "o", color=COLOURS[1], markersize=3
    )
    labels = [f"{name}: {literal(row['direction'])}" for name, row in table.iterrows()]
    axes.set_yticks(range(len(table)), labels, fontsize=5)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel(f"expected error, {UNIT}", fontsize=8)
    axes.grid(axis="x", color="0.9")
    return _save(figure, path)


def agreement(table: pd.DataFrame, path: Path) -> Path:
    """Draw chi2 per point of `frames.chi2`, at the best fit and at the SM."""
    shown = table[(table["points"] > 0) & (table["kind"] != "events")]
    figure = _figure(figsize=(6.5, 1.0 + 0.15 * len(shown)))
    axes = figure.subplots()
    places, points = np.arange(len(shown)), shown["points"].to_numpy(float)
    if "SM value" in shown:
        axes.plot(
            shown["SM value"] / points,
            places,
            "o",
            color=COLOURS[0],
            fillstyle="none",
            markersize=4,
            label="SM",
        )
    axes.plot(shown["value"] / points, places, "o", color=COLOURS[1], markersize=4, label="best fit")
    axes.axvline(1.0, color="0.8", linewidth=0.8, zorder=0)
    axes.set_yticks(places, [literal(n) for n in shown.index], fontsize=6)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel("chi2 per point", fontsize=8)
    axes.legend(frameon=False, fontsize=7)
    return _save(figure, path)


def posteriors(samples: pd.DataFrame, path: Path) -> Path:
    """Draw the density of every coefficient from samples, a panel each."""
    columns = min(6, samples.shape[1])
    rows = -(-samples.shape[1] // columns)
    figure = _figure(figsize=(1.6 * columns, 1.3 * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, name in zip(grid.flat, samples, strict=False):
        axes.set_axis_on()
        axes.hist(samples[name], 50, density=True, color=COLOURS[1], alpha=0.7)
        axes.axvline(0.0, color="0.6", linewidth=0.8)
        axes.set_title(literal(name), fontsize=7)
        axes.set_yticks([])
        axes.tick_params(labelsize=5)
        axes.locator_params(axis="x", nbins=3)
    return _save(figure, path)


def plane(known: Sequence[Plane], labels: Sequence[str], pair: Pair, path: Path) -> Path:
    """Draw two coefficients: contours where they were computed, else ellipses of the covariance, dashed.

    labels: of everything on the page, in the order of its colours.
    """
    figure = _figure(figsize=(4.6, 4.0))
    axes = figure.subplots()
    a, b = pair
    for one in known:
        result, curves = one.fit(a, b), one.curves(a, b)
        colour = COLOURS[(labels.index(one.label) + 1) % len(COLOURS)] if result or curves else ""
        for k, curve in enumerate(curves):
            axes.plot(curve[a], curve[b], color=colour, label=None if k else literal(one.label))
        if result is not None:
            axes.plot(result.best[a], result.best[b], "+", color=colour)
            if not curves:
                x, y = ellipse(result, a, b)
                axes.plot(x, y, "--", color=colour, label=f"{literal(one.label)}, covariance, {LEVEL:.0%}")
    axes.plot(0, 0, "*", color="0.5", label="SM", linestyle="none")
    axes.set(xlabel=f"{literal(a)}, {UNIT}", ylabel=f"{literal(b)}, {UNIT}")
    axes.legend(frameon=False, fontsize=7)
    return _save(figure, path)


def ellipse(result: FitResult, a: str, b: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the curve of the covariance of two coefficients at 95 %, (200,) each."""
    angle = np.linspace(0, 2 * np.pi, 200)
    values, vectors = np.linalg.eigh(result.covariance.loc[[a, b], [a, b]].to_numpy())
    radius = np.sqrt(float(chi2_quantile(LEVEL, 2)) * np.clip(values, 0, None))
    x, y = vectors @ (radius[:, None] * np.array([np.cos(angle), np.sin(angle)]))
    return x + result.best[a], y + result.best[b]
