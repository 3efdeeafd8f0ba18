"""What the project asks of its methods, beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import tables
from tables import fixed, number
from tables import table as markdown

Row = Mapping[str, Any]
WIDTH, SHIFT = 0.03, 0.05
"""Of every 95 % interval of the default method: fraction of the width, shift in exact half-widths."""
TRAINING, FIFTY = 300.0, 1200.0
"""CPU seconds of the default training in six coefficients, and of fifty replicas of it."""
FASTER = 100.0
"""Times less processor time per network than ML4EFT."""
SIGMAS = 3.0
"""Largest deviation of a coverage from nominal, in its binomial standard deviation."""


class Results(Protocol):
    """What is needed of the results."""

    def of(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return the results of a stage by name."""


Goal = tuple[str, str, bool]


def goals(results: Results) -> str:
    """Return the table of goals that can be judged from the results."""
    found: list[Goal] = []
    for name, row in results.of("table").items():
        if name in ("zh2__derivative", "zh6__derivative", "ttbar__derivative", "toy__derivative"):
            found += [] if "failed" in row else _default(name.partition("__")[0], row)
    found += _peers(results.of("peers"))
    found += _fifty(results.of("ensemble50"))
    found += _smeared(results.of("smeared").get("zh2"))
    found += [g for r in results.of("coverage").values() if "failed" not in r for g in _coverage(r)]
    if not found:
        return ""
    rows = [[goal, measured, "yes" if met else "**no**"] for goal, measured, met in found]
    return "## Goals\n\n" + markdown(["goal", "measured", "met?"], rows)


_NAMES = {
    "zh2": "ZH, 2 coefficients", "zh6": "ZH, 6 coefficients", "ttbar": "tt̄, 3 coefficients", "toy": "toy",
}  # fmt: skip


def _default(problem: str, row: Row) -> list[Goal]:
    found: list[Goal] = []
    for expected in (1000, 10_000):
        width, shift = tables.worst_width(row, expected), tables.worst_shift(row, expected)
        goal = (
            f"default, {_NAMES[problem]}, {expected:,} events: 95 % widths within {WIDTH:.0%} of exact, "
            f"shifts within {SHIFT:g} half-widths"
        )
        met = width is not None and shift is not None and abs(width - 1) <= WIDTH and abs(shift) <= SHIFT
        found.append((goal, f"farthest {fixed(width)}, {fixed(shift, 3, True)}", met))
    lost = row["log_r"]["non_positive"]
    found.append(
        (f"default, {_NAMES[problem]}: r > 0", f"{lost:,} of {row['log_r']['pairs']:,} not", not lost)
    )
    if problem == "zh6":
        goal = f"default, {_NAMES[problem]}, {row['replicas']} replicas: under {TRAINING:.0f} CPU s"
        found.append((goal, f"{number(row['cpu'])} CPU s", row["cpu"] < TRAINING))
    return found


def per_network(row: Row) -> float:
    """Return the CPU seconds per replica and coefficient."""
    return float(row["cpu"]) / float(row["replicas"] * row["coefficient_count"])


def ml4eft_networks(peers: Mapping[str, Row]) -> dict[str, Row]:
    """Return the networks of ML4EFT that were trained, by term."""
    prefix = "ml4eft_"
    return {k[len(prefix) :]: r for k, r in peers.items() if k.startswith(prefix) and "failed" not in r}


def _peers(peers: Mapping[str, Row]) -> list[Goal]:
    found: list[Goal] = []
    default, theirs = peers.get("ours_default"), ml4eft_networks(peers)
    if not default or "failed" in default:
        return found
    if theirs:
        mean = sum(r["cpu"] for r in theirs.values()) / len(theirs)
        ratio = mean / per_network(default)
        goal = f"default: over {FASTER:.0f} times less CPU per (replica, coefficient) than an ML4EFT network"
        found.append((goal, f"{number(ratio)} times", ratio > FASTER))
        terms = {row["term"]: row["r2"] for row in default["terms"]}
        worse = [t for t, row in theirs.items() if terms[t] < row["r2"]]
        goal = "default: R² of every coefficient at least that of ML4EFT's network"
        found.append((goal, f"not for {', '.join(worse)}" if worse else "for all", not worse))
    alices = peers.get("madminer_alices")
    if alices and "failed" not in alices:
        goal = "default: smaller MSE of log r than MadMiner's ALICES"
        text = f"{number(default['mean_mse'], 2)} against {number(alices['mean_mse'], 2)}"
        found.append((goal, text, default["mean_mse"] < alices["mean_mse"]))
    return found


def _fifty(ensemble: Mapping[str, Row]) -> list[Goal]:
    row = ensemble.get("cpu")
    if not row or "failed" in row:
        return []
    what = f"{row['replicas']} replicas of {row['coefficient_count']} coefficients"
    goal = f"{what}: under {FIFTY / 60:.0f} CPU minutes"
    return [(goal, f"{row['cpu'] / 60:.1f} CPU minutes", row["cpu"] < FIFTY)]


def _smeared(result: Row | None) -> list[Goal]:
    if not result or "failed" in result:
        return []
    ratios = tables.spread_ratio(result)
    smallest = min(ratios, key=lambda name: ratios[name])
    goal = "fractional smearing: less variance between seeds, for every coefficient"
    text = f"{number(ratios[smallest])} times less for {smallest}, up to {number(max(ratios.values()))}"
    return [(goal, text, ratios[smallest] > 1.0)]


def deviations(result: Row, kind: str = "estimate") -> list[tuple[float, Row]]:
    """Return the deviation of every coverage from nominal in binomial standard deviations, and its row."""
    rows = [r for r in result["coverage"] if r["likelihood"] == kind and r["toys"]]
    return [
        ((r["coverage"] - r["level"]) / (r["level"] * (1 - r["level"]) / r["toys"]) ** 0.5, r) for r in rows
    ]


def _coverage(result: Row) -> list[Goal]:
    found = deviations(result)
    if not found:
        return []
    far, row = max(found, key=lambda pair: abs(pair[0]))
    goal = f"coverage at {result['expected']:,} events: every region within {SIGMAS:g} σ of nominal"
    text = f"{far:+.1f} σ: {row['coverage']:.1%} for {row['level']:.0%}, {row['region']}, at {row['point']}"
    return [(goal, text, abs(far) <= SIGMAS)]
