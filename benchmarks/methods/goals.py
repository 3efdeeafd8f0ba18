"""What the project asks of its methods, beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import tables
from tables import fixed, number
from tables import table as markdown

Row = Mapping[str, Any]
WIDTH, SHIFT = 0.01, 0.1
"""Of every 95 % interval of the default method at 10,000 events: fraction of the width, shift in sigma."""
ERROR, LINEAR, QUADRATIC = 0.002, 0.999, 0.99
"""Of log r, relative mean squared error; R^2 of every linear and of every quadratic coefficient."""
TRAINING, FIFTY = 300.0, 1200.0
"""CPU seconds of the default training in six coefficients, and of fifty replicas of it."""
FASTER, ALICES, LIKE = 300.0, 20.0, 100.0
"""Times less processor time: per (replica, coefficient) than ML4EFT, for a whole estimator than MadMiner's
ALICES, and per network of cross-entropy on ML4EFT's own separate samples."""
FRIENDS = 10.0
"""Largest factor between the error of log r of the methods that use the joint ratio and the default's."""
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
    found += _friends(results.of("table"))
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
    name = f"default, {_NAMES[problem]}"
    for expected in (1000, 10_000):
        width = tables.worst_width(row, expected)
        shifts = [e["shift_sigma"] for e in row["intervals"] if e["expected"] == expected]
        far = max(shifts, key=abs) if shifts and None not in shifts else None
        goal = (
            f"{name}, {expected:,} events: 95 % widths within {WIDTH:.0%} of exact, shifts below {SHIFT:g} σ"
        )
        met = width is not None and far is not None and abs(width - 1) <= WIDTH and abs(far) < SHIFT
        found.append((goal, f"farthest {fixed(width, 4)}, {fixed(far, 4, True)} σ", met))
    error = row["log_r"]["mean_mse"]
    found.append((f"{name}: MSE/variance of log r below {ERROR:g}", number(error, 2), error < ERROR))
    for kind, least in (("linear", LINEAR), ("quadratic", QUADRATIC)):
        values = {e["coefficient"]: e["r2"] for e in row["coefficients"] if e["kind"] == kind}
        known = {k: v for k, v in values.items() if v is not None}
        if known and problem == "zh2":  # with more coefficients some cross terms all but vanish
            worst = min(known, key=lambda k: known[k])
            goal = f"{name}: R² of every {kind} coefficient above {least:g}"
            found.append((goal, f"{known[worst]:.5f} for {worst}", known[worst] > least))
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
    return {k[len(prefix) :]: r for k, r in peers.items() if k.startswith(prefix) and "term" in r}


def loader_factor(peers: Mapping[str, Row]) -> float | None:
    """Return how much longer ML4EFT trains with its own loading of data than with batched loading."""
    row = peers.get("ml4eft_loader", {})
    return float(row["own"]) / float(row["batched"]) if "own" in row else None


def _peers(peers: Mapping[str, Row]) -> list[Goal]:
    default, theirs = peers.get("ours_default"), ml4eft_networks(peers)
    if not default or "failed" in default:
        return []
    found: list[Goal] = []
    factor = loader_factor(peers)
    if theirs and factor is not None:
        mean = factor * sum(r["cpu"] for r in theirs.values()) / len(theirs)
        ratio = mean / per_network(default)
        goal = f"default: {FASTER:.0f} times less CPU per (replica, coefficient) than an ML4EFT network"
        text = f"{number(ratio)} times ({number(ratio / factor)} with batched loading)"
        found.append((goal, text, ratio >= FASTER))
        terms = {row["term"]: row["r2"] for row in default["terms"]}
        worse = [t for t, row in theirs.items() if terms[t] < row["r2"]]
        goal = "default: R² of every coefficient at least that of ML4EFT's network"
        found.append((goal, f"not for {', '.join(worse)}" if worse else "for all", not worse))
        found += [_alike(peers, term, row, factor) for term, row in theirs.items() if "cpu" in row]
    alices, short = peers.get("madminer_alices", {}), peers.get("ours_short", {})
    if "mean_mse" in alices:
        goal = "default: smaller MSE of log r than MadMiner's ALICES"
        text = f"{number(default['mean_mse'], 2)} against {number(alices['mean_mse'], 2)}"
        found.append((goal, text, default["mean_mse"] < alices["mean_mse"]))
    if "mean_mse" in alices and "mean_mse" in short:
        ratio = alices["cpu"] / short["cpu"]
        goal = (
            f"one replica, {short['epochs']} epochs, all coefficients: {ALICES:.0f} times less CPU than "
            "MadMiner's ALICES, at smaller MSE"
        )
        text = (
            f"{number(ratio)} times, {number(short['mean_mse'], 2)} against {number(alices['mean_mse'], 2)}"
        )
        found.append((goal, text, ratio >= ALICES and short["mean_mse"] < alices["mean_mse"]))
    return found


def _alike(peers: Mapping[str, Row], term: str, theirs: Row, factor: float) -> Goal:
    ours = peers.get(f"ours_{term}", {})
    goal = (
        f"cross-entropy on ML4EFT's own samples, {term}: {LIKE:.0f} times less CPU per network at equal or "
        "better R²"
    )
    if "cpu" not in ours:
        return goal, "not measured", False
    ratio = factor * theirs["cpu"] / ours["cpu"]
    text = (
        f"{number(ratio)} times ({number(ratio / factor)} with batched loading), R² {fixed(ours['r2'])} "
        f"against {fixed(theirs['r2'])}"
    )
    return goal, text, ratio >= LIKE and ours["r2"] >= theirs["r2"]


def _friends(table: Mapping[str, Row]) -> list[Goal]:
    """Judge the methods that use the joint ratio by their error over the default's."""
    found: list[Goal] = []
    for problem in ("zh2", "zh6", "ttbar"):
        title = _NAMES[problem]
        default = table.get(f"{problem}__derivative", {})
        rows = {m: table.get(f"{problem}__{m}", {}) for m in ("alice", "alices", "rolr", "rascal", "cascal")}
        errors = {m: row["log_r"]["mean_mse"] for m, row in rows.items() if "log_r" in row}
        if "log_r" in default and errors:
            worst = max(errors, key=lambda m: errors[m])
            ratio = errors[worst] / default["log_r"]["mean_mse"]
            goal = f"{title}: error of log r of {', '.join(errors)} within {FRIENDS:g} times the default's"
            found.append((goal, f"at most {number(ratio, 2)} times, {worst}", ratio <= FRIENDS))
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
