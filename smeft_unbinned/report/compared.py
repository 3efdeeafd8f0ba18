"""The section of comparisons: binned and unbinned versions of one measurement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import plots
from ..comparison.result import Comparison
from .figures import literal
from .found import Found
from .markup import slug
from .section import Draw, Section

Named = list[tuple[str, Comparison]]
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
LEAD = (
    "Widths of the intervals of all versions of a measurement, relative to those of the reference, from the "
    "same events; below, how they saturate with the number of bins."
)


def named(found: Sequence[Found]) -> Named:
    """Return every comparison by the name that it has on the page."""
    return [
        (one.label if place == "." else f"{one.label}/{place}", comparison)
        for one in found
        for place, comparison in one.comparisons.items()
    ]


def comparisons(found: Sequence[Found]) -> Iterator[Section]:
    """Yield the section of all comparisons, if there are any."""
    tables: dict[str, tuple[str, pd.DataFrame]] = {}
    drawings: dict[str, tuple[str, Draw]] = {}
    whole: dict[str, pd.DataFrame] = {}
    for label, comparison in named(found):
        mark = slug(label)
        tables[f"gains_{mark}"] = (
            f"Widths and information relative to {comparison.reference}, {label}",
            comparison.gains,
        )
        tables[f"compared_{mark}"] = (f"Intervals of all versions, {label}", comparison.table)
        for kind, part in _parts(comparison.gains):
            stem, draw = f"widths_{mark}_{_joined(kind)}", partial(_widths, part, comparison.reference)
            drawings[stem] = (f"widths, {label}, {kind}", draw)
        for kind, part in _parts(comparison.saturation):
            stem, draw = (
                f"saturation_{mark}_{_joined(kind)}",
                partial(_saturation, part, comparison.reference),
            )
            drawings[stem], whole[stem] = (f"saturation, {label}, {kind}", draw), part
    if tables:
        yield Section("comparison", "Binned and unbinned", LEAD, tables, drawings, whole)


def _parts(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each kind of fit: "one at a time, linear", "all together, quadratic, global"."""
    for (fit, terms, together), part in frame.groupby(["fit", "terms", "global"], sort=False):
        yield f"{fit}, {terms}{', global' if together else ''}", part


def _joined(kind: str) -> str:
    return slug(kind.replace(", ", "_").replace(" ", "_"))


def _panels(part: pd.DataFrame, height: float) -> tuple[Any, list[tuple[Any, pd.DataFrame]]]:
    """Return a figure with a panel per coefficient, and the rows of each."""
    operators = list(dict.fromkeys(part["operator"]))
    figure = plots._figure(figsize=(1.8 + 2.1 * len(operators), height))
    grid = figure.subplots(1, len(operators), squeeze=False, sharey=True)[0]
    pairs = [(axes, part[part["operator"] == n]) for axes, n in zip(grid, operators, strict=True)]
    for axes, name in zip(grid, operators, strict=True):
        axes.set_title(literal(name), fontsize=9)
        axes.tick_params(labelsize=7)
    return figure, pairs


def _widths(part: pd.DataFrame, reference: str, path: Path) -> Path:
    """Draw the ratios of widths of all versions."""
    versions = list(dict.fromkeys(part["version"]))
    figure, panels = _panels(part, 1.1 + 0.17 * len(versions))
    for axes, own in panels:
        places = [versions.index(v) for v in own["version"]]
        ratios, errors = own["width_ratio"].to_numpy(float), own["width_error"].fillna(0.0).to_numpy(float)
        axes.errorbar(ratios, places, xerr=errors, fmt="o", markersize=3.5, color=plots.COLOURS[1])
        axes.axvline(1.0, color="0.7", linewidth=0.8, zorder=0)
        axes.set_ylim(len(versions) - 0.4, -0.6)
    panels[0][0].set_yticks(range(len(versions)), [literal(v) for v in versions], fontsize=7)
    figure.supxlabel(f"width over that of {literal(reference)}", fontsize=8)
    return plots._save(figure, path)


def _saturation(part: pd.DataFrame, reference: str, path: Path) -> Path:
    """Draw the ratios of widths against the number of bins, a line per family of schemes."""
    families = list(dict.fromkeys(part["family"]))
    figure, panels = _panels(part, 3.2)
    for axes, own in panels:
        for k, family in enumerate(families):
            line = own[own["family"] == family]
            axes.errorbar(
                line["bins"].to_numpy(float), line["width_ratio"].to_numpy(float),
                line["width_error"].fillna(0.0).to_numpy(float), marker="o", markersize=3, linewidth=1.2,
                color=plots.COLOURS[(k + 1) % len(plots.COLOURS)], label=literal(family),
            )  # fmt: skip
        axes.axhline(1.0, color="0.7", linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        ticks = [t for t in TICKS if part["bins"].min() <= t <= part["bins"].max()]
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.set_xticks([], minor=True)
    panels[0][0].set_ylabel(f"width over that of {literal(reference)}", fontsize=8)
    panels[0][0].legend(frameon=False, fontsize=6)
    figure.supxlabel("number of bins", fontsize=8)
    return plots._save(figure, path)


def numbers(found: Sequence[Found]) -> list[dict[str, Any]]:
    """Return what the page draws: an entry per comparison, coefficient and kind of fit."""
    entries = []
    for label, comparison in named(found):
        saturation = comparison.saturation
        keys = ["operator", "fit", "terms", "global"]
        for values, part in comparison.gains.groupby(keys, sort=False):
            operator, fit, terms, together = values
            own = saturation[
                np.logical_and.reduce([saturation[k] == v for k, v in zip(keys, values, strict=True)])
            ]
            rest = ", with the global fit" if together else ""
            entries.append(
                {
                    "label": f"{label}: {operator}, {fit}, {terms}{rest}",
                    "reference": comparison.reference,
                    "rows": [_row(row) for row in part.to_dict("records")],
                    "curves": [
                        {
                            "label": str(family),
                            "kind": (k + 1) % len(plots.COLOURS),
                            "x": curve["bins"].astype(float),
                            "y": curve["width_ratio"],
                        }
                        for k, (family, curve) in enumerate(own.groupby("family", sort=False))
                    ],
                }
            )
    return entries


def _row(row: Mapping[Any, Any]) -> dict[str, Any]:
    ratio, luminosity = f"{row['width_ratio']:.4g} ± {row['width_error']:.2g}", row["equivalent_luminosity"]
    lines = [
        str(row["version"]),
        f"width {row['width']:.3g} TeV⁻², ratio {ratio}",
        f"information {row['fisher_ratio']:.3g}, equivalent luminosity {luminosity:.4g} fb⁻¹",
    ]
    return {"label": lines[0], "x": row["width_ratio"], "tip": "\n".join(lines)}
