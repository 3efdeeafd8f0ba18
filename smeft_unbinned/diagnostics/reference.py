"""Reference variation: r(x|c_a)/r(x|c_b) must be the ratio of rates whichever c_b it is taken relative to.

Over events at c_b its mean is sigma(c_a)/sigma(c_b). An estimate that is right only near the SM, the
reference of its training, passes the check of the expectation there and fails this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..datasets.extended import FLOOR, log_ratio
from ..errors import InputError
from ..events import Events
from ..polynomial import Polynomial, as_point
from .case import Case, Ratios
from .judge import judge, significance
from .points import alone, joint, title
from .result import FAIL, PASS, WARN, Check, not_applicable, worst

NAME = "reference"
MOST_LOST = 1e-3
"""Share of the rate at c_b with r(c_b) <= 0 above which the check fails."""
ALIKE, APART = 0.3, 0.7
"""Spread of the difference of two estimates over that of log r, below which they agree, above which not."""
Generated = Sequence[tuple[Mapping[str, float], Events]]


def reference(
    case: Case, pairs: np.ndarray | None = None, *, other: Ratios | None = None,
    generated: Generated | None = None,
) -> Check:  # fmt: skip
    """Compare the mean of r(c_a)/r(c_b) at c_b with the ratio of rates, for pairs (K, 2, n) of (c_a, c_b).

    generated: samples generated at some c_b, each with its point, used where the events carry no truth.
    other: a second estimator, trained with another reference or method: its log ratios are compared too.
    """
    pairs = _pairs(case) if pairs is None else pairs
    parts: list[tuple[np.ndarray, np.ndarray, float, float, float]] = []
    if case.truth is not None:
        parts = [(*pair, *_by_truth(case, case.truth, *pair)) for pair in pairs]
    elif generated and case.target is not None:
        for point, events in generated:
            b = np.asarray(as_point(point, case.operators), dtype=float)
            form = case.estimator(events.features).dense()
            weights = np.asarray(events.weights)
            parts += [(a, b, *_by_sample(case.target, form, weights, a, b)) for a in (0 * b, 0.5 * b, -b)]
    elif other is None:
        why = (
            "needs events with truth, or samples generated at other points, or a second estimator; "
            "reweighting by the estimate itself tells nothing new"
        )
        return not_applicable(NAME, why)
    verdicts, sentences = [PASS], []
    numbers: dict[str, Any] = {}
    tables: dict[str, pd.DataFrame] = {}
    if parts:
        verdict, sentence, own, table = _summary(case, parts)
        verdicts.append(verdict)
        sentences.append(sentence)
        numbers |= own
        tables["pairs"] = table
    if other is not None:
        table = _comparison(case, other, pairs)
        tables["comparison"] = table
        row = table.iloc[int(table["relative"].argmax())]
        verdicts.append(FAIL if row["relative"] > APART else WARN if row["relative"] > ALIKE else PASS)
        numbers["difference_to_other"] = float(row["relative"])
        sentences.append(
            f"log ratios differ from the other estimator's by {row['relative']:.2f} of their spread over "
            f"events at {row['a']} over {row['b']}"
        )
    return Check(NAME, worst(verdicts), "; ".join(sentences), numbers, tables)


def _pairs(case: Case) -> np.ndarray:
    """Return the default pairs (K, 2, n): opposite ends of each interval, and random points."""
    ends = alone(case, (1.0,))
    pairs = [np.stack([sign * ends, -sign * ends], axis=1) for sign in (1.0, -1.0)]
    if len(case.operators) > 1:
        pairs.append(joint(case, 8).reshape(4, 2, -1))
    return np.concatenate(pairs)


def _by_truth(case: Case, truth: Polynomial, a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Return relative deviation, its error, and the share of the rate at b where r(b) is not positive."""
    ra, rb = (np.asarray(case.form.evaluate(c)) for c in (a, b))
    ta, tb = (np.asarray(truth.evaluate(c)) for c in (a, b))
    good = rb > FLOOR
    difference = np.where(good, tb * ra / np.where(good, rb, 1.0) - ta, 0.0)
    rates = case.weights @ np.stack([ta, tb, np.where(good, 0.0, tb)], axis=1)
    mean = float(case.weights @ difference)
    error = float(np.sqrt(case.weights**2 @ (difference - mean) ** 2))
    return mean / rates[0], error / abs(rates[0]), rates[2] / rates[1]


def _by_sample(
    target: Polynomial, form: Polynomial, weights: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[float, float, float]:
    w = weights / weights.sum()
    ra, rb = (np.asarray(form.evaluate(c)) for c in (a, b))
    good = rb > FLOOR
    ratio = np.where(good, ra / np.where(good, rb, 1.0), 0.0)
    kept = float(w @ good)
    mean = float(w @ ratio) / kept
    error = float(np.sqrt(w**2 @ (good * (ratio - mean)) ** 2)) / kept
    goal = float(target.evaluate(a)) / float(target.evaluate(b))
    return mean / goal - 1.0, error / abs(goal), 1.0 - kept


def _summary(
    case: Case, parts: list[tuple[np.ndarray, np.ndarray, float, float, float]]
) -> tuple[str, str, dict[str, Any], pd.DataFrame]:
    deviation, error, lost = (np.array([part[k] for part in parts]) for k in (2, 3, 4))
    table = pd.DataFrame(
        {
            "a": [title(part[0], case.operators) for part in parts],
            "b": [title(part[1], case.operators) for part in parts],
            "deviation_percent": 100 * deviation,
            "error_percent": 100 * error,
            "significance": significance(deviation, error),
            "lost": lost,
        }
    )
    verdict, k, vague = judge(deviation, error, case.expected)
    row = table.iloc[k]
    sentence = (
        f"the mean of r(a)/r(b) over events at b is off by {row['deviation_percent']:+.2g} ± "
        f"{row['error_percent']:.2g} % for a: {row['a']}, b: {row['b']}"
    )
    if vague:
        sentence += "; the statistical error is too large to tell: use more events"
    elif verdict != PASS:
        sentence += ": the estimate depends on the reference of its training; train longer or calibrate"
    if lost.max() > 0:
        verdict = worst([verdict, FAIL if lost.max() > MOST_LOST else WARN])
        sentence += f"; {lost.max():.2%} of the rate at b has r(b) <= 0 and was left out"
    numbers = {
        "largest_deviation_percent": float(row["deviation_percent"]),
        "error_percent": float(row["error_percent"]),
        "significance": float(row["significance"]),
        "lost": float(lost.max()),
    }
    return verdict, sentence, numbers, table


def _comparison(case: Case, other: Ratios, pairs: np.ndarray) -> pd.DataFrame:
    """Return the spread of the difference of two estimates of log r(a)/r(b) over that of log r(a)/r(b)."""
    unknown = [name for name in case.operators if name not in other.operators]
    missing = [name for name in other.features if name not in case.events.features]
    if unknown or missing:
        raise InputError(
            f"the other estimator cannot be compared: it lacks {', '.join(unknown) or 'no operator'}, and "
            f"the events lack {', '.join(missing) or 'none'} of its features; train it alike"
        )
    second = other(case.events.features).restrict(case.operators).dense()
    weights = np.abs(case.weights) / np.abs(case.weights).sum()
    rows = []
    for a, b in pairs:
        first_log, second_log = (
            log_ratio(np.asarray(f.evaluate(a))) - log_ratio(np.asarray(f.evaluate(b)))
            for f in (case.form, second)
        )
        own, difference = (_spread(v, weights) for v in (first_log, first_log - second_log))
        rows.append(
            {
                "a": title(a, case.operators),
                "b": title(b, case.operators),
                "spread_of_difference": difference,
                "spread": own,
                "relative": difference / own if own > 0 else float(difference > 0),
            }
        )
    return pd.DataFrame(rows)


def _spread(values: np.ndarray, weights: np.ndarray) -> float:
    return float(np.sqrt(weights @ (values - weights @ values) ** 2))
