"""Which versions of WH events know the sign of a CP-odd coefficient: curves of -2 log L, and their figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from smeft_unbinned import Likelihood
from smeft_unbinned.comparison import (
    ALONE,
    TOGETHER,
    Comparison,
    ComparisonCard,
    Sample,
    Version,
    estimator_of,
    influence,
    sample_of,
    versions_of,
)
from smeft_unbinned.fit import scan
from smeft_unbinned.plots import COLOURS
from smeft_unbinned.quantiles import chi2_quantile

KINDS = {ALONE: "individual", TOGETHER: "profile"}
LEFT_OUT = "shape only"
"""The version without a curve: it lies on that of the exact one."""
CEILING = 40.0
"""Height of the figure in -2 log L."""


def numbers(card: ComparisonCard, comparison: Comparison, folder: Path) -> dict[str, Any]:
    """Return curves of -2 log L along the coefficient of the data, relative to the minimum, JSON types.

    comparison: of the card, made in the folder, where the events and the network are kept.
    values: of the coefficient, TeV^-2, from minus to plus twice that of the data. versions: by name and fit
    the curve; mirror: its height at minus the value of the data; error: of that, from the simulation;
    networks: the mirror of every network of an ensemble; pieces: of the 95 % interval, [lower, upper] each,
    None where there is no end.
    """
    ((name, value),) = card.at.items()
    sample = sample_of(card, folder)
    estimator = estimator_of(card, sample.events, folder)
    values = np.linspace(-2.0, 2.0, 41) * value
    versions: dict[str, Any] = {}
    for version in versions_of(sample, card.schemes, card.terms, estimator):
        if version.name != LEFT_OUT:
            versions[version.name] = {
                fit: {
                    **_curve(version, sample, name, values, kind),
                    "pieces": _pieces(comparison, version.name, fit, name),
                }
                for fit, kind in KINDS.items()
            }
    keys = ("process", "luminosity", "events", "expected_events", "level", "seconds", "smeft_unbinned")
    return {
        **{k: comparison.about[k] for k in keys}, "operator": name, "at": value,
        "values": _rounded(values), "versions": versions,
    }  # fmt: skip


def _curve(version: Version, sample: Sample, name: str, values: Any, kind: str) -> dict[str, Any]:
    own = Likelihood([version.restricted(sample.operators)], sample.operators)
    frame = scan(own, name, values, kind=kind)
    mirror = float(frame["delta"].iloc[_mirror(frame, sample, name)])
    found = {
        "curve": _rounded(frame["delta"]),
        "mirror": round(mirror, 4),
        "error": _error(version, sample, name, frame),
    }
    if version.networks is not None and version.networks.replicas is not None:
        members = [version.networks.replica(m) for m in range(version.networks.replicas.batch_shape[0])]
        frames = [scan(Likelihood([m], sample.operators), name, values, kind=kind) for m in members]
        found["networks"] = [round(float(f["delta"].iloc[_mirror(f, sample, name)]), 2) for f in frames]
    return found


def _mirror(frame: pd.DataFrame, sample: Sample, name: str) -> int:
    return int(np.argmin(np.abs(frame["value"] + sample.point[name])))


def _error(version: Version, sample: Sample, name: str, frame: pd.DataFrame) -> float:
    """Return the error of the height at the mirror point from the simulation.

    At a minimum over the others only what each event does to -2 log L there counts, to first order.
    """
    rows = frame.iloc[[_mirror(frame, sample, name), int(frame["delta"].argmin())]]
    points = np.array(
        [
            [row["value"] if n == name else row.get(n, 0.0) for n in sample.operators]
            for _, row in rows.iterrows()
        ]
    )
    by_event = influence(version, sample, points)
    return round(float(np.sqrt(np.sum((sample.weights * (by_event[0] - by_event[1])) ** 2))), 4)


def _pieces(comparison: Comparison, version: str, fit: str, name: str) -> list[list[float | None]]:
    table = comparison.table
    own = table[
        (table["version"] == version) & (table["fit"] == fit) & (table["operator"] == name)
        & (table["level"] == comparison.about["level"])
    ]  # fmt: skip
    return [
        [round(float(x), 4) if np.isfinite(x) else None for x in ends]
        for ends in own[["lower", "upper"]].to_numpy(float)
    ]


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(x), 4) for x in values]


def figure(found: Mapping[str, Any]) -> Figure:
    """Return the figure of the curves: one coefficient at a time, and all others at their minimum."""
    drawn = Figure(figsize=(9.0, 3.9), layout="constrained")
    for axes, fit in zip(drawn.subplots(1, 2, sharey=True), KINDS, strict=True):
        for k, (name, version) in enumerate(found["versions"].items()):
            axes.plot(
                found["values"], version[fit]["curve"], color=COLOURS[k % len(COLOURS)],
                linestyle="--" if name == "network" else "-", linewidth=2.5 if name == "exact" else 1.5,
                label=name, zorder=3 if name == "network" else 2,
            )  # fmt: skip
        for sign in (-1, 1):
            axes.axvline(sign * found["at"], color="0.6", linewidth=0.8, linestyle="-" if sign > 0 else ":")
        axes.axhline(chi2_quantile(0.95, 1), color="0.8", linewidth=0.8)
        axes.set(ylim=(-1.0, CEILING), xlabel=f"{found['operator']}, TeV$^{{-2}}$", title=fit)
    drawn.axes[0].set_ylabel("$-2\\,\\Delta\\log L$")
    handles, texts = drawn.axes[0].get_legend_handles_labels()
    drawn.legend(handles, texts, loc="outside right upper", frameon=False, fontsize=9)
    return drawn
