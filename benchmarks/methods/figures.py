"""Figures of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tables import label

from smeft_unbinned.errors import require

Row = Mapping[str, Any]
MARKERS = "osD^v<>pXP*hd8"


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    require("matplotlib", "plot")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": None})


def cost(problems: Sequence[tuple[Row, Sequence[Row]]], path: Path) -> None:
    """Draw the error of log r against processor time, one panel per problem, one marker per method."""
    columns = min(2, len(problems))
    lines = -(-len(problems) // columns)
    figure, axes = _figure(lines, columns, (6.5 * columns, 4.6 * lines))
    names = list(dict.fromkeys(label(row) for _, rows in problems for row in rows))
    for ax, (reference, rows) in zip(axes.flat, problems, strict=False):
        for row in rows:
            k = names.index(label(row))
            ax.plot(
                row["cpu"], row["log_r"]["mean_mse"], MARKERS[k % len(MARKERS)], ms=7, color=f"C{k % 10}",
                mfc="none" if row["linear_only"] else f"C{k % 10}", label=label(row),
            )  # fmt: skip
        ax.set(
            xscale="log", yscale="log", title=reference["title"], xlabel="CPU seconds of the training",
            ylabel="MSE of log r / variance",
        )  # fmt: skip
        ax.grid(alpha=0.3)
    for ax in list(axes.flat)[len(problems) :]:
        ax.set_axis_off()
    found = [pair for ax in axes.flat for pair in zip(*ax.get_legend_handles_labels(), strict=True)]
    handles = {text: handle for handle, text in found}
    figure.legend(handles.values(), handles.keys(), fontsize=7, ncols=4, loc="outside lower center")
    _save(figure, path)


def smeared(result: Row, path: Path) -> None:
    """Draw learned over true mean coefficients in bins of pT, for each option all seeds and their spread."""
    names = result["coefficients"]
    options = list(result["learned"])
    figure, axes = _figure(len(names), len(options), (6.0 * len(options), 2.4 * len(names)))
    pt, true = _array(result["pt_mean"]), _array(result["true"])
    error = _array(result["true_error"])
    every = np.array([_array(run["binned"]) for runs in result["learned"].values() for run in runs])
    for j, option in enumerate(options):
        runs = np.array([_array(run["binned"]) for run in result["learned"][option]])
        for i, name in enumerate(names):
            ax, ratio = axes[i][j], runs[:, :, i] / true[:, i]
            band = np.abs(error[:, i] / true[:, i])
            ax.fill_between(pt, 1 - band, 1 + band, color="0.8", label="true, with its error")
            ax.axhline(1.0, color="0.4", lw=0.8)
            for k, one in enumerate(ratio):
                ax.plot(pt, one, ".", color="C0", alpha=0.5, label=None if k else "learned, each seed")
            ax.errorbar(
                pt, ratio.mean(axis=0), ratio.std(axis=0, ddof=1), fmt="o", ms=4, color="C3", capsize=2,
                label="learned, mean and spread",
            )  # fmt: skip
            limit = np.nanmax(np.abs(every[:, :, i] / true[:, i] - 1.0))
            ax.set(ylim=(1 - 1.1 * limit, 1 + 1.1 * limit), ylabel=f"{name}, over true")
            if i == 0:
                ax.set_title(option)
                ax.legend(fontsize=7)
    for ax in axes[-1]:
        ax.set_xlabel("reconstructed pT(Z), GeV")
    _save(figure, path)


def _array(rows: Any) -> np.ndarray:
    return np.array(rows, dtype=float)


def coverage(results: Sequence[Row], path: Path) -> None:
    """Draw the coverage of every region, the estimate's beside that of the exact ratio."""
    figure, axes = _figure(1, len(results), (6.5 * len(results), 4.5))
    for ax, result in zip(axes.flat, results, strict=True):
        rows = result["coverage"]
        keys = list(dict.fromkeys((r["point"], r["region"]) for r in rows))
        for kind, color, offset in (("estimate", "C0", -0.12), ("exact", "C1", 0.12)):
            for level, marker in ((0.68, "o"), (0.95, "s")):
                found = {
                    (r["point"], r["region"]): r
                    for r in rows
                    if r["likelihood"] == kind and r["level"] == level
                }
                x = [k + offset for k, key in enumerate(keys) if key in found]
                y = np.array([found[key]["coverage"] for key in keys if key in found], dtype=float)
                low = y - np.array([found[key]["lower"] for key in keys if key in found], dtype=float)
                high = np.array([found[key]["upper"] for key in keys if key in found], dtype=float) - y
                name = "network" if kind == "estimate" else "exact ratio"
                ax.errorbar(x, y, [low, high], fmt=marker, color=color, ms=4, label=f"{name}, {level:.0%}")
        for level in (0.68, 0.95):
            ax.axhline(level, color="0.5", lw=0.8)
        ax.set_xticks(range(len(keys)), [f"{p}\n{r}" for p, r in keys], rotation=60, fontsize=6)
        ax.set(title=f"{result['expected']:,} expected events", ylabel="coverage")
        ax.legend(fontsize=7)
    _save(figure, path)
