"""Figures of a report: an overview, and one figure per check, drawn from its tables."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import require
from ..plots import COLOURS
from ..storage import write_bytes
from .closure import EXCESS
from .result import FAIL, PASS, WARN, Check

if TYPE_CHECKING:
    from .report import Report

VERDICT_COLOURS = {PASS: "#009e73", WARN: "#e69f00", FAIL: "#d55e00"}
_MOST_PANELS = 12


def _figure(width: float, height: float) -> Any:
    require("matplotlib", "plot")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> Path:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_bytes(path, buffer.getvalue())
    return path


def draw(report: Report, folder: Path) -> list[Path]:
    """Write overview.png and a figure of every check that has tables; return the paths."""
    paths = [_save(overview(report), folder / "overview.png")]
    for check in report.checks:
        if check.tables:
            paths.append(_save(_DRAW[check.name](check), folder / f"{check.name}.png"))
    return paths


def overview(report: Report) -> Any:
    """Return a figure with one line per check: its verdict and what was found."""
    texts = [textwrap.wrap(check.sentence, 100) for check in report.checks]
    heights = [max(len(lines), 1) + 0.9 for lines in texts]
    figure = _figure(10, 0.6 + 0.2 * sum(heights))
    axes = figure.subplots()
    axes.set_axis_off()
    y = 0.0
    for check, lines, height in zip(report.checks, texts, heights, strict=True):
        colour = VERDICT_COLOURS.get(check.verdict, "0.6")
        axes.text(0.0, y, check.name, va="top", weight="bold", fontsize=9)
        box = {"facecolor": colour, "edgecolor": "none", "boxstyle": "round,pad=0.25"}
        axes.text(0.13, y, check.verdict, va="top", color="white", fontsize=8, bbox=box)
        axes.text(0.25, y, "\n".join(lines), va="top", fontsize=8)
        y += height
    axes.set(xlim=(0, 1), ylim=(y, -0.3))
    axes.set_title(f"verdict: {report.verdict}", loc="left", fontsize=11)
    return figure


def _rows(axes: Any, labels: list[str]) -> np.ndarray:
    axes.set_yticks(np.arange(len(labels)), labels, fontsize=7)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(axis="x", labelsize=8)
    return np.arange(len(labels))


def _tall(count: int) -> float:
    return 1.4 + 0.22 * count


def _deviations(table: pd.DataFrame, labels: list[str], title: str) -> Any:
    figure = _figure(7, _tall(len(labels)))
    axes = figure.subplots()
    y = _rows(axes, labels)
    axes.errorbar(table["deviation_percent"], y, xerr=table["error_percent"], fmt="o", color=COLOURS[1], ms=4)
    axes.axvline(0.0, color="0.6", linewidth=0.8)
    axes.set(xlabel="deviation, %", title=title)
    return figure


def expectation(check: Check) -> Any:
    """Return the deviation of the mean of r from the rate at every point."""
    table = check.tables["points"]
    return _deviations(table, list(table["point"]), "Mean of r over SM events against the rate")


def reference(check: Check) -> Any:
    """Return the deviation of the mean of r(a)/r(b), or the difference of two estimates."""
    if "pairs" in check.tables:
        table = check.tables["pairs"]
        labels = [f"{a} | {b}" for a, b in zip(table["a"], table["b"], strict=True)]
        return _deviations(table, labels, "a | b: mean of r(a)/r(b) at b against the rates")
    table = check.tables["comparison"]
    labels = [f"{a} | {b}" for a, b in zip(table["a"], table["b"], strict=True)]
    return _bars(labels, table["relative"], "difference of log ratios / their spread", "Two estimators")


def _bars(labels: list[str], values: pd.Series, what: str, title: str) -> Any:
    figure = _figure(7, _tall(len(labels)))
    axes = figure.subplots()
    axes.barh(_rows(axes, labels), values, color=COLOURS[1], height=0.6)
    axes.set(xlabel=what, title=title, xlim=(0.0, 1.05 * float(values.max()) or 1.0))
    return figure


def positivity(check: Check) -> Any:
    """Return the share of SM rate with r <= 0 at every point."""
    table = check.tables["points"]
    return _bars(list(table["point"]), table["non_positive"], "share of SM rate with r <= 0", "Positivity")


def closure(check: Check) -> Any:
    """Return AUCs, and the histograms of every feature at the point with the largest one."""
    aucs, bins = check.tables["auc"], check.tables["histograms"]
    point = aucs.iloc[int(aucs["auc"].argmax())]["point"]
    features = list(dict.fromkeys(bins["feature"]))[: _MOST_PANELS - 1]
    columns = min(3, len(features) + 1)
    rows = -(-(len(features) + 1) // columns)
    figure = _figure(4.2 * columns, 3.0 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    y = _rows(panels[0], list(aucs["point"]))
    panels[0].errorbar(aucs["auc"], y, xerr=aucs["null_spread"], fmt="o", color=COLOURS[1], ms=4)
    panels[0].axvline(0.5, color="0.6", linewidth=0.8)
    panels[0].axvline(0.5 + EXCESS, color=COLOURS[2], linewidth=0.8, linestyle=":")
    panels[0].set_title("AUC (0.5 is perfect)", fontsize=9)
    for axes, feature in zip(panels[1:], features, strict=False):
        part = bins[(bins["point"] == point) & (bins["feature"] == feature)]
        place = np.arange(len(part))
        truth = part["truth"].to_numpy()
        for kind, colour, offset in (("truth", COLOURS[0], -0.1), ("estimate", COLOURS[2], 0.1)):
            scale = np.where(truth > 0, truth, 1.0)
            axes.errorbar(place + offset, part[kind] / scale, yerr=part[f"{kind}_error"] / scale, fmt=".",
                          color=colour, label=kind)  # fmt: skip
        ends = [f"{x:.3g}" for x in part["lower"]]
        axes.set_xticks(place[::3], ends[::3], fontsize=7)
        axes.set_title(f"{feature}, over truth", fontsize=9)
    panels[min(1, len(panels) - 1)].legend(frameon=False, fontsize=7)
    for axes in panels[len(features) + 1 :]:
        axes.set_axis_off()
    figure.suptitle(f"Closure; histograms at {point}", fontsize=10)
    return figure


def spread(check: Check) -> Any:
    """Return the disagreement of the members in log r, and in the ends of the intervals."""
    logs, ends = check.tables["log_ratios"], check.tables.get("ends")
    if ends is None:
        return _bars(list(logs["point"]), logs["relative"], "over members / over events", "Spread of log r")
    figure = _figure(10, _tall(max(len(logs), len(ends))))
    left, right = figure.subplots(1, 2)
    left.barh(_rows(left, list(logs["point"])), logs["relative"], color=COLOURS[1], height=0.6)
    left.set(title="Spread of log r", xlabel="over members / over events")
    labels = [f"{o}, {f}" for o, f in zip(ends["operator"], ends["fit"], strict=True)]
    right.barh(_rows(right, labels), ends["relative"], color=COLOURS[3], height=0.6)
    right.set(title="Ends of the 95 % interval", xlabel="spread / width")
    return figure


def truth(check: Check) -> Any:
    """Return bias and spread of log r, R^2 of the coefficients, and width ratios with shifts."""
    logs, coefficients = check.tables["points"], check.tables["coefficients"]
    intervals = check.tables.get("intervals")
    figure = _figure(13, _tall(max(len(logs), min(len(coefficients), 40))))
    left, middle, right = figure.subplots(1, 3)
    y = _rows(left, list(logs["point"]))
    left.errorbar(logs["bias"], y, xerr=logs["spread"], fmt="o", color=COLOURS[1], ms=4)
    left.axvline(0.0, color="0.6", linewidth=0.8)
    left.set(title="log r: bias and spread", xlabel="estimate - exact")
    shown = coefficients.dropna(subset="r2").head(40)
    middle.barh(_rows(middle, list(shown["coefficient"])), shown["r2"], color=COLOURS[3], height=0.6)
    middle.set(title="R² of the coefficients", xlim=(min(0.0, max(-1.0, float(shown["r2"].min()))), 1.0))
    if intervals is None:
        right.set_axis_off()
        return figure
    labels = [f"{o}, {f}" for o, f in zip(intervals["operator"], intervals["fit"], strict=True)]
    y = _rows(right, labels)
    right.plot(intervals["width_ratio"], y, "o", color=COLOURS[2], label="width ratio")
    right.plot(1.0 + intervals["shift"], y, "x", color=COLOURS[0], label="1 + shift/half-width")
    right.axvline(1.0, color="0.6", linewidth=0.8)
    right.set_title("95 % intervals against exact ones")
    right.legend(frameon=False, fontsize=7)
    return figure


def coverage(check: Check) -> Any:
    """Return the coverage of every region at both levels, estimate and exact."""
    table = check.tables["coverage"]
    levels = sorted(table["level"].unique())
    keys = table[["point", "region"]].drop_duplicates()
    labels = [f"{p}: {r}" for p, r in keys.itertuples(index=False)]
    figure = _figure(5 * len(levels) + 2, _tall(len(labels)))
    panels = figure.subplots(1, len(levels), sharey=True, squeeze=False)[0]
    for level, axes in zip(levels, panels, strict=True):
        y = _rows(axes, labels)
        kinds = list(dict.fromkeys(table["likelihood"]))
        for kind, colour, offset in zip(kinds, (COLOURS[2], COLOURS[0]), (0.12, -0.12), strict=False):
            part = table[(table["level"] == level) & (table["likelihood"] == kind)]
            errors = np.abs(part[["lower", "upper"]].to_numpy().T - part["coverage"].to_numpy())
            axes.errorbar(part["coverage"], y + offset, xerr=errors, fmt="o", ms=4, color=colour, label=kind)
        axes.axvline(level, color="0.6", linewidth=0.8)
        axes.set(title=f"{level:.0%} regions", xlabel="share of toys that contain the truth")
    panels[0].legend(frameon=False, fontsize=7)
    return figure


_DRAW = {
    "expectation": expectation,
    "reference": reference,
    "positivity": positivity,
    "closure": closure,
    "spread": spread,
    "truth": truth,
    "coverage": coverage,
}
