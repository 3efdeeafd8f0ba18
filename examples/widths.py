"""How much wider intervals are than the exact unbinned ones: numbers and figures of several comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from smeft_unbinned.comparison import ALONE, TOGETHER, Comparison
from smeft_unbinned.plots import COLOURS

MARKERS = {ALONE: "o", TOGETHER: "s"}
WIDEST = 20.0
"""Ratio at which the figure ends; what is wider has an arrow there."""


def numbers(comparison: Comparison) -> dict[str, Any]:
    """Return what the figures show, JSON types.

    versions: by name bins, family, and ratios {fit: {operator: [ratio of widths, error]}}, None for a width
    without end; the error is that of the simulation. networks: {fit: {operator: standard deviation of the
    ratio over the ensemble}}.
    """
    about = comparison.about
    keys = ("process", "luminosity", "events", "expected_events", "level", "seconds", "smeft_unbinned")
    versions: dict[str, Any] = {}
    for row in comparison.gains.to_dict("records"):
        name = row["version"]
        if name not in versions:
            bins = None if pd.isna(row["bins"]) else int(row["bins"])
            versions[name] = {"bins": bins, "family": comparison.families[name], "ratios": {}}
        ratio, error = (round(float(row[key]), 4) for key in ("width_ratio", "width_error"))
        found = [ratio, error if np.isfinite(error) else 0.0] if np.isfinite(ratio) else None
        versions[name]["ratios"].setdefault(row["fit"], {})[row["operator"]] = found
    return {**{k: about[k] for k in keys}, "versions": versions, "networks": _spreads(comparison)}


def _spreads(comparison: Comparison) -> dict[str, dict[str, float]]:
    result: dict[str, dict[str, float]] = {}
    level = comparison.about["level"]
    exact = comparison.gains[comparison.gains["version"] == comparison.reference]
    widths = exact.set_index(["fit", "operator"])["width"]
    members = comparison.members[comparison.members["level"] == level]
    for (fit, operator), part in members.groupby(["fit", "operator"], sort=False):
        ratio = (part["upper"] - part["lower"]) / widths.loc[(fit, operator)]
        result.setdefault(fit, {})[operator] = round(float(ratio.std()), 4)
    return result


def shown(found: Mapping[str, Any]) -> list[str]:
    """Return the versions of a figure, top to bottom: of each family the one with the most bins."""
    versions = found["versions"]
    finest = {v["family"]: name for name, v in versions.items() if v["family"]}
    rest = [name for name, v in versions.items() if not v["family"]]
    ends = [name for name in ("network", "exact") if name in rest]
    return [*(name for name in rest if name not in ends), *finest.values(), *ends]


def figure(studies: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Return the figure of ratios of widths: a panel per coefficient of every study, a line per version."""
    panels = [
        (study, found, operator)
        for study, found in studies.items()
        for operator in found["versions"]["exact"]["ratios"][ALONE]
    ]
    names = list(dict.fromkeys(name for found in studies.values() for name in labels(found)))
    drawn = Figure(figsize=(2.8 + 1.35 * len(panels), 1.3 + 0.27 * len(names)), layout="constrained")
    for axes, (study, found, operator) in zip(
        drawn.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True
    ):
        for y, name in enumerate(names):
            version = found["versions"].get(labels(found).get(name, ""))
            for k, (fit, marker) in enumerate(MARKERS.items()):
                value = None if version is None else version["ratios"][fit][operator]
                if value is not None:
                    beyond = value[0] > WIDEST
                    axes.errorbar(
                        min(value[0], 0.9 * WIDEST), y, xerr=0.0 if beyond else value[1],
                        color=COLOURS[1 + k], marker=">" if beyond else marker, markersize=5,
                        linestyle="none", fillstyle="none" if k else "full", label=fit if not y else None,
                    )  # fmt: skip
        axes.axvline(1.0, color="0.6", linewidth=0.8, zorder=0)
        axes.set(xscale="log", xlim=(0.9, WIDEST), ylim=(len(names) - 0.5, -0.5))
        axes.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        axes.minorticks_off()
        axes.set_title(f"{operator}\n({study})", fontsize=9)
        axes.grid(axis="y", color="0.92")
        axes.set_yticks(range(len(names)), names, fontsize=8)
    handles, texts = drawn.axes[0].get_legend_handles_labels()
    drawn.legend(handles, texts, loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    drawn.supxlabel("width of the 95 % interval over that of the exact unbinned likelihood", fontsize=9)
    return drawn


def labels(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions of a figure by what they are called there: families without the number of bins."""
    versions = found["versions"]
    return {_label(versions[name]["family"]) or name: name for name in shown(found)}


def _label(family: str) -> str:
    """Return what a family is called beside others: bins of equal content have no word of their own."""
    return family if not family or family.startswith("score") or ", " in family else f"{family}, equal"
