"""Sections of the report: what was measured, as tables, and the figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import report_text as text
from report_goals import goals as judged

from smeft_unbinned.errors import require
from smeft_unbinned.storage import make_folder

Entry = Mapping[str, Any]


class Results(Protocol):
    """What is needed of the results."""

    machines: dict[int, Entry]
    threads: tuple[int, ...]

    def all(self, figure: str, threads: int) -> list[Entry]:
        """Return the entries of a figure that hold results."""

    def of(self, figure: str, threads: int) -> Entry | None:
        """Return the entry of this package in a figure, or None if it was not measured."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown, the first column to the left."""
    lines = [head, [":--"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:#.3g}".rstrip(".")


def _gb(amount: float, digits: int = 2) -> str:
    return f"{amount / 1e9:.{digits}f}"


def _label(what: str, threads: int) -> str:
    return f"{what}, {threads} thread{'s' if threads > 1 else ''}"


def goals(results: Results) -> str:
    """Return all goals that can be judged."""
    found = judged(results, results.threads)
    rows = [[g.text, g.measured, "yes" if g.met else "**no**"] for g in found]
    return "## Goals\n\n" + table(["goal", "measured", "reached?"], rows)


def machine(results: Results) -> str:
    """Return what the machine is and can do."""
    about = next(iter(results.machines.values()))["machine"]
    lead = (
        f"{about['processor']}, {about['cores']} cores, caches {', '.join(about['caches'])}, "
        f"{about['system']}; Python {about['python']}, NumPy {about['numpy']}, "
        f"{', '.join(about['libraries'])}, smeft-unbinned {about['smeft_unbinned']}. "
        "Median and, in brackets, best of repeated measurements:\n\n"
    )
    kinds = {
        "memory": ("memory read, GB/s", 1e9),
        "dgemm": ("matrix product, double, Gflop/s", 1e9),
        "sgemm": ("matrix product, single, Gflop/s", 1e9),
        "logarithms": ("logarithms, 10^6/s", 1e6),
    }
    rows = []
    for kind, (label, unit) in kinds.items():
        rates = [m[kind] for m in results.machines.values()]
        rows.append([label, *(f"{r['median'] / unit:.1f} ({r['best'] / unit:.1f})" for r in rates)])
    head = ["", *(f"{t} thread{'s' if t > 1 else ''}" for t in results.machines)]
    return "## The machine\n\n" + lead + table(head, rows)


def _matrix(
    results: Results, prefix: str, who: Mapping[str, str], labels: Mapping[str, str] | None = None
) -> str:
    """Return the time per point of contenders by number of coefficients and threads."""
    rows = []
    for threads in results.threads:
        for n in (2, 8, 16):
            if entry := results.of(f"{prefix}, n={n}", threads):
                seconds, points = entry["seconds"], entry["points"]
                times = [_ms(seconds[k] / points.get(k, 1)) if k in seconds else "" for k in who]
                rows.append([_label(f"n = {n}", threads), *times, *(f"{entry[k]:.1g}" for k in labels or {})])
    return table(["ms per point", *who.values(), *(labels or {}).values()], rows) if rows else ""


def values(results: Results) -> str:
    """Return the times of values."""
    one = {"ours": "this package", "numpy": "numpy", "jax": "jax"}
    batch = one | {"numpy, batch": "numpy, batch", "jax, batch": "jax, batch"}
    single = {"ours": "single precision", "ours, double": "double precision", "numpy": "numpy, double"}
    changes = {"change": "change near", "change_far": "change far", "value_far": "-2 log L far"}
    weighted = {
        "ours": "this package", "ours, equal": "equal weights", "ours, single": "one point", "numpy": "numpy",
    }  # fmt: skip
    parts = [
        "## Values\n",
        text.TIMING,
        "102,400 events, batches of 64 points:\n",
        _matrix(results, "batch", batch),
        "One point:\n",
        _matrix(results, "single", one),
        text.PRECISION,
        _matrix(results, "float32", single, changes),
        "Unequal weights, batches of 64 points, and numpy's `-2 * w @ np.log(1 + R @ v)`:\n",
        _matrix(results, "weighted", weighted),
    ]
    return "\n".join(parts)


def derivatives(results: Results) -> str:
    """Return the times of derivatives."""
    who = {
        "value": "value", "gradient": "gradient", "value and gradient": "both", "hessian": "Hessian",
        "hvp": "Hessian times vector",
    }  # fmt: skip
    alone = {"jax, gradient": "jax, gradient", "jax, hessian": "jax, Hessian"}
    parts = [
        "## Derivatives\n",
        "102,400 events; one point, beside jax differentiating the line above:\n",
        _matrix(results, "derivatives, single", who | alone),
        "Batches of 64 points:\n",
        _matrix(results, "derivatives, batch", who),
    ]
    return "\n".join(parts)


def low_rank(results: Results) -> str:
    """Return time and memory with many coefficients."""
    rows = []
    for threads in results.threads:
        if entry := results.of("low rank, n=50", threads):
            for name, key, memory in (
                ("rank 3", "ours", entry["lowrank"]),
                ("dense", "dense", entry["dense"]),
            ):
                times = _ms(entry["seconds"][key]), _ms(entry["seconds_batch"][key] / entry["points_batch"])
                sizes = memory["stored"], memory["peak"] - memory["idle"], memory["idle"]
                rows.append([_label(name, threads), *times, *map(_gb, sizes)])
    head = [
        "10^6 events, n = 50", "value and gradient, ms", "per point of 8, ms", "stored, GB", "memory, GB",
        "interpreter, GB",
    ]  # fmt: skip
    return "## Many coefficients\n\n" + text.LARGE + "\n" + table(head, rows) if rows else ""


def mapped(results: Results) -> str:
    """Return time and memory with a mapped file."""
    rows = []
    for threads in results.threads:
        for kind in ("float64", "float32"):
            if entry := results.of(f"mapped file, {kind}", threads):
                rates = entry["rates"]
                many = entry["points"] * entry["events"] / entry["bytes"] * rates["batch"]
                bandwidths = rates["single"], rates["gradient"], entry["read_warm"]
                cold = entry["rate_cold"], entry["read_cold"]
                rows.append(
                    [
                        _label(kind, threads), _gb(entry["bytes"]), *(_gb(b, 1) for b in bandwidths),
                        *(_gb(b, 1) for b in cold), f"{many / 1e6:.0f}", f"{entry['load']:.1f}",
                        _gb(entry["peak"]),
                    ]
                )  # fmt: skip
    head = [
        "10^7 events, n = 8", "ratios, GB", "value, GB/s", "gradient, GB/s", "read, GB/s",
        "value, cold, GB/s", "read, cold, GB/s", "batch of 64, 10^6 ratios/s", "load, s", "peak, GB",
    ]  # fmt: skip
    return "## A mapped file\n\n" + text.MAPPED + "\n" + table(head, rows) if rows else ""


def peers(results: Results) -> str:
    """Return the times of other programs."""
    rows = []
    for threads in results.threads:
        for peer in ("ml4eft", "madminer"):
            if entry := results.of(f"peers, {peer}", threads):
                s = entry["seconds"]
                together = _ms(s["together"] / entry["points"]["together"]) if "together" in s else ""
                ours = _ms(s["ours"]), _ms(s["ours, batch"] / 64)
                rows.append([_label(peer, threads), _ms(s[peer]), together, *ours, _ms(s["numpy"])])
    head = [
        "ms per point", "theirs", "theirs, 4 points", "this package, one point", "this package, batch of 64",
        "numpy",
    ]  # fmt: skip
    return "## Beside ML4EFT and MadMiner\n\n" + text.PEERS + "\n" + table(head, rows) if rows else ""


def scaling(results: Results, docs: Path) -> str:
    """Draw time per point against size into figures/engine_scaling.png and return the section."""
    curves = {a: results.all(f"scaling with {a}", results.threads[0]) for a in ("events", "operators")}
    if not any(curves.values()):
        return ""
    require("matplotlib", "plot")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    labels = {"events": "events (n = 8)", "operators": "numbers per event (100,000 events)"}
    for ax, (axis, entries) in zip(figure.subplots(1, 2), curves.items(), strict=True):
        for entry in entries:
            _curve(ax, axis, entry)
        ax.set(xscale="log", yscale="log", ylabel="seconds per point", xlabel=labels[axis])
        ax.grid(alpha=0.3)
        ax.legend(fontsize=7)
    figure.suptitle("Time per point; thin lines are proportional", fontsize=10)
    figure.savefig(make_folder(docs / "figures") / "engine_scaling.png", dpi=110, metadata={"Software": None})
    picture = "![Time per point against events and numbers per event](figures/engine_scaling.png)\n"
    return "## Cost against size\n\n" + text.SCALING + "\n" + picture


def _curve(ax: Any, axis: str, entry: Entry) -> None:
    low = entry["form"] == "lowrank"
    n = np.array(entry["n"])
    x = np.array(entry["events"])
    if axis == "operators":
        x = 3 * (n + 1) if low else (n + 1) * (n + 2) // 2
    for k, (kind, style, name) in enumerate((("single", "o-", "one point"), ("batch", "s--", "batch of 64"))):
        y, colour = np.array(entry[kind]), f"C{2 * low + k}"
        ax.plot(x, y, style, color=colour, ms=4, label=f"{'rank 3' if low else 'dense'}, {name}")
        ax.plot(x, y[-1] * x / x[-1], color=colour, lw=0.7, alpha=0.5)
