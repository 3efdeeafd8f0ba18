"""Markdown of the report: tables, and plain sentences by simple rules from the numbers beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Row = Mapping[str, Any]
CLOSE_WIDTH, CLOSE_SHIFT = 0.05, 0.1
"""Intervals count as right within this fraction in width and this shift in exact half-widths."""


def number(value: Any, digits: int = 3, sign: bool = False) -> str:
    """Return a number with some significant digits, or a dash for none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:{'+' if sign else ''}.{digits}g}"
    return f"{value:{'+' if sign else ''},.0f}" if "e+" in text else text


def fixed(value: float | None, places: int = 3, sign: bool = False) -> str:
    """Return a number with so many places, or a dash for none."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 1e4:
        return f"{value:{'+' if sign else ''}.1e}"
    return f"{value:{'+' if sign else ''}.{places}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, text columns on the left and the others on the right."""
    body = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    left = [
        all(not row[k][:1].isdigit() and row[k][:1] not in "+-–" for row in body) for k in range(len(head))
    ]
    rule = [":--" if first or not k else "--:" for k, first in enumerate(left)]
    lines = [head, rule, *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def label(row: Row) -> str:
    """Return how a method is called in the tables."""
    more = ", separate samples" if row["data"] == "separate samples" else ""
    return f"{row['method']}{more}{' (linear)' if row['linear_only'] else ''}"


def intervals_of(row: Row, expected: int) -> list[Row]:
    """Return the comparisons at so many expected events; of linear estimators, with the linearised ratio."""
    key = "intervals_linear" if row["linear_only"] else "intervals"
    return [entry for entry in row[key] if entry["expected"] == expected]


def worst_width(row: Row, expected: int) -> float | None:
    """Return the width ratio that is farthest from one; None where an interval is missing."""
    found = [entry["width_ratio"] for entry in intervals_of(row, expected)]
    return None if None in found or not found else max(found, key=lambda ratio: abs(ratio - 1.0))


def worst_shift(row: Row, expected: int, key: str = "shift") -> float | None:
    """Return the largest shift in size, with its sign; None where an interval is missing."""
    found = [entry[key] for entry in intervals_of(row, expected)]
    return None if None in found or not found else max(found, key=abs)


def problem_section(reference: Row, rows: Sequence[Row]) -> str:
    """Return everything about one problem."""
    operators = reference["operators"]
    widths = ", ".join(f"{o} {number(w)}" for o, w in zip(operators, reference["widths"], strict=True))
    parts = [
        f"### {reference['title']}\n",
        f"{reference['events']:,} events to train on, {reference['test']:,} to test log r on, "
        f"{reference['asimov']:,} for Asimov data. Exact 95 % half-widths of each coefficient alone at 1,000 "
        "expected events, which are the widths of the Gaussian prior that the eight points are drawn from "
        f"(TeV⁻²; the toy has no unit): {widths}.\n",
        table(
            ["point", *operators],
            [[str(k + 1), *(number(x, 3, True) for x in p)] for k, p in enumerate(reference["points"])],
        ),
    ]
    good = [row for row in rows if "failed" not in row]
    bad = [row for row in rows if "failed" in row]
    parts += [_overview(good), _r_squared(good, operators)]
    parts += [_intervals(good, operators, expected) for expected in (1000, 10_000)]
    if any(row["linear_only"] for row in good):
        parts.append(_linear_against_full(good, operators))
    parts += [f"- {label(row)}: {note}\n" for row in good for note in row["training_notes"] + row["notes"]]
    parts += [f"- Not measured: {row['key']}: {row['failed']}\n" for row in bad]
    return "\n".join([*parts, _conclusions(good)])


def _overview(rows: Sequence[Row]) -> str:
    head = [
        "method", "data", "replicas", "events", "epochs", "CPU s", "MSE/var of log r, mean", "largest",
        "r ≤ 0", "width at 1,000", "shift", "width at 10,000", "shift",
    ]  # fmt: skip
    body = []
    for row in rows:
        log = row["log_r"]
        body.append(
            [
                label(row), row["data"], str(row["replicas"]), f"{row['events']:,}", str(row["epochs"]),
                number(row["cpu"]), number(log["mean_mse"], 2), number(log["largest_mse"], 2),
                f"{log['non_positive']:,}",
                fixed(worst_width(row, 1000)), fixed(worst_shift(row, 1000), sign=True),
                fixed(worst_width(row, 10_000)), fixed(worst_shift(row, 10_000), sign=True),
            ]
        )  # fmt: skip
    pairs = rows[0]["log_r"]["pairs"] if rows else 0
    text = (
        f"r ≤ 0 counts pairs of test event and point, of {pairs:,}; these are left out of the errors of "
        "log r. Width is the ratio of 95 % widths to the exact one that is farthest from one, shift the "
        "largest shift in exact half-widths, over all coefficients; those and log r of linear estimators are "
        "compared with the exact ratio without its quadratic terms; both turn negative in tails, and where "
        "the first event does the interval ends. Times are those of the training.\n"
    )
    return table(head, body) + "\n" + text


def _r_squared(rows: Sequence[Row], operators: Sequence[str]) -> str:
    wide = len(operators) > 3
    names = [*operators, *(f"{o}*{o}" for o in operators)]
    cross = [f"{a}*{b}" for i, a in enumerate(operators) for b in operators[i + 1 :]]
    head = ["R² of", *names, *(["lowest cross term"] if wide else cross)]
    body = []
    for row in rows:
        found = {entry["coefficient"]: entry["r2"] for entry in row["coefficients"]}
        cells = [fixed(found.get(name)) for name in names]
        terms = [found.get(name) for name in cross]
        known = [value for value in terms if value is not None]
        cells += [fixed(min(known, default=None))] if wide else [fixed(value) for value in terms]
        body.append([label(row), *cells])
    return table(head, body)


def _intervals(rows: Sequence[Row], operators: Sequence[str], expected: int) -> str:
    head = [f"at {expected:,} events", *(f"{o}: width, shift (σ)" for o in operators)]
    body = []
    for row in rows:
        found = {entry["operator"]: entry for entry in intervals_of(row, expected)}
        body.append([label(row), *(_cell(found[o]) for o in operators)])
    text = (
        "Ratio of 95 % widths, shift in exact half-widths, and in brackets in exact 68 % half-widths; one "
        "coefficient at a time.\n"
    )
    return table(head, body) + "\n" + text


def _cell(entry: Row) -> str:
    return (
        f"{fixed(entry['width_ratio'])}, {fixed(entry['shift'], 3, True)} "
        f"({fixed(entry['shift_sigma'], 2, True)})"
    )


def _linear_against_full(rows: Sequence[Row], operators: Sequence[str]) -> str:
    head = [
        "linear, against the full exact ratio, at 10,000 events",
        *(f"{o}: width, shift (σ)" for o in operators),
    ]
    body = []
    for row in rows:
        if row["linear_only"]:
            found = {e["operator"]: e for e in row["intervals"] if e["expected"] == 10_000}
            body.append([label(row), *(_cell(found[o]) for o in operators)])
    return table(head, body)


def right(row: Row, expected: int) -> bool:
    """Whether all intervals are right within CLOSE_WIDTH and CLOSE_SHIFT."""
    width, shift = worst_width(row, expected), worst_shift(row, expected)
    return (
        width is not None and shift is not None
        and abs(width - 1.0) <= CLOSE_WIDTH and abs(shift) <= CLOSE_SHIFT
    )  # fmt: skip


def _conclusions(rows: Sequence[Row]) -> str:
    full = sorted((r for r in rows if not r["linear_only"]), key=lambda r: float(r["log_r"]["mean_mse"]))
    lines = []
    if full:
        best = full[0]
        lines.append(
            f"log r is known best by {label(best)}: mean MSE {number(best['log_r']['mean_mse'], 2)} of the "
            f"variance for {number(best['cpu'])} CPU s with {best['replicas']} replicas."
        )
        default = next((r for r in full if r["method"] == "derivative"), None)
        if default is not None and default is not best:
            lines.append(
                f"The default, derivative, has {number(default['log_r']['mean_mse'], 2)} for "
                f"{number(default['cpu'])} CPU s with {default['replicas']} replicas, place "
                f"{full.index(default) + 1} of {len(full)}."
            )
    for expected in (1000, 10_000):
        names = [label(row) for row in rows if right(row, expected)]
        lines.append(
            f"At {expected:,} events all 95 % intervals are within {CLOSE_WIDTH:.0%} in width and "
            f"{CLOSE_SHIFT:g} half-widths in position for {'; '.join(names) or 'no method'}."
        )
    negative = [f"{label(r)} ({r['log_r']['non_positive']:,})" for r in rows if r["log_r"]["non_positive"]]
    lines.append(f"Ratios that are not positive: {'; '.join(negative) or 'none'}.")
    return "\n".join(f"- {line}" for line in lines) + "\n"


def spread_ratio(smeared: Row) -> dict[str, float]:
    """Return by coefficient the variance between seeds without fractional smearing over that with it.

    Means over the bins of pT, of variances relative to the square of the true coefficient.
    """
    once, fractional = (_variances(runs) for runs in smeared["learned"].values())
    size = np.array([[v if v is not None else np.nan for v in row] for row in smeared["true"]]) ** 2
    found = np.nanmean(once / size, axis=0) / np.nanmean(fractional / size, axis=0)
    return dict(zip(smeared["coefficients"], found.tolist(), strict=True))


def _variances(runs: Sequence[Row]) -> np.ndarray:
    """Return the variance over seeds in each bin of each coefficient, (B, K)."""
    return np.asarray(np.var([np.array(run["binned"], dtype=float) for run in runs], axis=0, ddof=1))
