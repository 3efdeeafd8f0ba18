"""What the project asks of the likelihood engine, beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

Entry = Mapping[str, Any]
BATCH = {2: 4.0, 8: 4.0, 16: 6.0}
"""Times less time per point, by number of coefficients, in a batch of 64 than one line of numpy."""
FLOAT32, CHANGE = 1.8, 1e-3
"""Times less time in single precision at n = 8, and change of -2 log L."""
GRADIENT, HESSIAN = 2.5, 15.0
"""Times the time of the value."""
SHARE, STORED = 0.25, 1.3e9
"""Low-rank: part of the time of the dense form, and bytes."""
RESIDENT, BANDWIDTH = 1.5e9, 0.5
"""Mapped file: peak of the resident memory, bytes, and part of the bandwidth of reading."""
PEERS = {"ml4eft": (250.0, 1000.0), "madminer": (2000.0, 10_000.0)}
"""Times less time per point, alone and in a batch."""


class Results(Protocol):
    """What is needed of the results."""

    def of(self, figure: str, threads: int) -> Entry | None:
        """Return the entry of this package in a figure, or None if it was not measured."""


class Goal(NamedTuple):
    """A goal, what was measured, and whether it was met."""

    text: str
    measured: str
    met: bool


def goals(results: Results, threads: tuple[int, ...]) -> list[Goal]:
    """Return all goals that can be judged, at each number of threads."""
    return [
        goal
        for t in threads
        for judge in (_values, _derivatives, _large, _peers)
        for goal in judge(results, t)
    ]


def _values(results: Results, threads: int) -> list[Goal]:
    found, name = [], _name(threads)
    for n, wanted in BATCH.items():
        if entry := results.of(f"batch, n={n}", threads):
            text = f"batch of 64, n = {n}, {name}: at least {wanted:g} times less time per point than numpy"
            found.append(Goal(text, *_times(entry, "numpy", wanted)))
    if entry := results.of("single, n=8", threads):
        text = f"one point, n = 8, {name}: no slower than numpy"
        found.append(Goal(text, *_times(entry, "numpy", 1.0)))
    if entry := results.of("float32, n=8", threads):
        text = f"one point in single precision, n = 8, {name}: at least {FLOAT32:g} times faster than numpy"
        found.append(Goal(text, *_times(entry, "numpy", FLOAT32)))
        change = float(entry["change"])
        text = f"single precision, n = 8, {name}: change of -2 log L within 3 sigma below {CHANGE:g}"
        found.append(Goal(text, f"{change:.1g}", change < CHANGE))
    return found


def _times(entry: Entry, who: str, wanted: float) -> tuple[str, bool]:
    ratio, cpu = entry["ratios"][who], entry["ratios_cpu"][who]
    return f"{ratio:.3g} times (processor time {cpu:.3g})", ratio >= wanted


def _derivatives(results: Results, threads: int) -> list[Goal]:
    found = []
    for kind in ("single", "batch"):
        for n in BATCH:
            entry = results.of(f"derivatives, {kind}, n={n}", threads)
            for what, limit in (("gradient", GRADIENT), ("hessian", HESSIAN)):
                if entry and (what == "gradient" or n == 8):
                    ratio, cpu = entry["ratios"][what], entry["ratios_cpu"][what]
                    point = "one point" if kind == "single" else "batch of 64"
                    text = f"{what}, {point}, n = {n}, {_name(threads)}: at most {limit:g} times the value"
                    found.append(Goal(text, f"{ratio:.3g} times (processor time {cpu:.3g})", ratio <= limit))
    return found


def _large(results: Results, threads: int) -> list[Goal]:
    found, name = [], _name(threads)
    if entry := results.of("low rank, n=50", threads):
        share = entry["shares"]["single"]
        text = (
            f"rank 3, n = 50, {entry['events']:,} events, {name}: value and gradient in at most {SHARE:.0%} "
        )
        text += "of the time of the dense form"
        cpu, batch = entry["shares"]["single_cpu"], entry["shares"]["batch"]
        measured = (
            f"{share:.1%} (processor time {cpu:.1%}; {batch:.1%} in a batch of {entry['points_batch']})"
        )
        found.append(Goal(text, measured, share <= SHARE))
        low, dense = entry["lowrank"], entry["dense"]
        memory = low["peak"] - low["idle"]
        text = f"the same: memory at most {STORED / 1e9:g} GB"
        measured = f"{memory / 1e9:.2f} GB (dense {(dense['peak'] - dense['idle']) / 1e9:.2f} GB)"
        found.append(Goal(text, measured, memory <= STORED))
    for kind in ("float64", "float32"):
        if entry := results.of(f"mapped file, {kind}", threads):
            text = f"{entry['events']:,} events in a mapped file, n = {entry['n']}, {kind}, {name}: "
            memory = f"peak of the resident memory below {RESIDENT / 1e9:g} GB"
            found.append(Goal(text + memory, f"{entry['peak'] / 1e9:.2f} GB", entry["peak"] < RESIDENT))
            share = entry["shares"]["single"]
            measured = (
                f"{share:.0%} ({entry['rates']['single'] / 1e9:.1f} of {entry['read_warm'] / 1e9:.1f} GB/s)"
            )
            rate = f"at least {BANDWIDTH:.0%} of the bandwidth of reading it"
            found.append(Goal(text + rate, measured, share >= BANDWIDTH))
    return found


def _peers(results: Results, threads: int) -> list[Goal]:
    found = []
    for peer, limits in PEERS.items():
        if entry := results.of(f"peers, {peer}", threads):
            for what, wanted in zip(("single", "batch"), limits, strict=True):
                ratio = entry["ratios"][what]
                point = "one point" if what == "single" else "in a batch of 64"
                text = f"{peer}, n = 2, {_name(threads)}: at least {wanted:,.0f} times less time, {point}"
                found.append(Goal(text, f"{ratio:,.0f} times", ratio >= wanted))
    return found


def _name(threads: int) -> str:
    return "one thread" if threads == 1 else f"{threads} threads"
