"""Spread: how far the members of the ensemble disagree, event by event and in the final intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..comparison.intervals import compare
from ..datasets.extended import log_ratio
from ..errors import InputError
from ..polynomial import QuadraticForm
from ..progress import progress_bar
from .case import Case, dataset, thin
from .points import grid, title
from .result import FAIL, PASS, WARN, Check, not_applicable

NAME = "spread"
LITTLE, MUCH = 0.1, 0.25
"""Spread of an end of the 95 % interval over its width, above which the check warns and fails."""
EVENT = 0.5
"""Spread of log r between members over that between events, above which the check warns."""
MOST = 10_000
LEVEL = 0.95


def spread(case: Case, points: np.ndarray | None = None, *, progress: bool = False) -> Check:
    """Compare the members at points (K, n), and fit the same Asimov data with each of them."""
    points = grid(case) if points is None else points
    index = thin(len(case.weights), MOST, case.seed)
    members = case.estimator.replicas(case.events.features.iloc[index].reset_index(drop=True))
    count = int(members.batch_shape[0])
    if count < 2:
        return not_applicable(NAME, "the ensemble has one member only; train with replicas=10, say")
    weights = case.weights[index] / case.weights[index].sum()
    logs = _log_ratios(case, members, index, weights, points)
    tables = {"log_ratios": logs}
    relative = float(logs["relative"].max())
    row = logs.iloc[int(logs["relative"].argmax())]
    numbers: dict[str, Any] = {"members": count, "log_ratio_relative": relative}
    sentence = f"log r of one member is off by {relative:.2f} of its spread over events at {row['point']}"
    verdict = WARN if relative > EVENT else PASS
    if np.any(weights < 0):
        sentence += "; no intervals, since some events have negative weights"
        return Check(NAME, verdict, sentence, numbers, tables)
    fits, failed = _intervals(case, members, index, weights, progress)
    numbers["failed_fits"] = failed
    tables["fits"] = fits
    if fits.empty or failed > 0.5 * count:
        sentence += f"; {failed} of {count} members gave no interval: the estimate cannot be fitted"
        return Check(NAME, FAIL, sentence, numbers, tables)
    ends = _ends(fits)
    tables["ends"] = ends
    end = ends.iloc[int(ends["relative"].argmax())]
    numbers["interval_end_relative"] = float(end["relative"])
    sentence += (
        f"; the ends of the {LEVEL:.0%} interval of {end['operator']} ({end['fit']}) spread by "
        f"{end['relative']:.1%} of its width from member to member"
    )
    if end["relative"] > MUCH:
        verdict = FAIL
    elif end["relative"] > LITTLE or failed:
        verdict = WARN
    if failed:
        sentence += f"; {failed} of {count} members gave no interval"
    if verdict != PASS:
        sentence += ": train longer, on more events, or with more members"
    return Check(NAME, verdict, sentence, numbers, tables)


def _log_ratios(
    case: Case, members: QuadraticForm, index: np.ndarray, weights: np.ndarray, points: np.ndarray
) -> pd.DataFrame:
    """Return one row per point: spread of log r over members (rms over events), and over events."""
    absolute = np.abs(weights) / np.abs(weights).sum()
    rows = []
    for point in points:
        each = log_ratio(np.asarray(members.evaluate(point)))  # (M, N)
        mean = log_ratio(np.asarray(case.form[index].evaluate(point)))
        over_members = float(np.sqrt(absolute @ each.var(axis=0, ddof=1)))
        over_events = float(np.sqrt(absolute @ (mean - absolute @ mean) ** 2))
        rows.append(
            {
                "point": title(point, case.operators),
                "over_members": over_members,
                "over_events": over_events,
                "relative": over_members / over_events if over_events > 0 else float(over_members > 0),
            }
        )
    return pd.DataFrame(rows)


def _intervals(
    case: Case, members: QuadraticForm, index: np.ndarray, weights: np.ndarray, progress: bool
) -> tuple[pd.DataFrame, int]:
    """Return the intervals of every member for the same Asimov data at the SM, and how many have failed."""
    rate = case.form[index].sum(weights)
    if case.truth is not None:
        rate = case.truth[index].sum(weights)
    elif case.rate is not None:
        rate = case.rate
    frames, failed = [], 0
    with progress_bar(progress) as bar:
        task = bar.add_task("members", total=members.batch_shape[0], note="")
        for m in range(members.batch_shape[0]):
            likelihood = dataset(members[m], rate, weights, case.expected)
            try:
                frame = compare({"member": likelihood}, case.operators, levels=(LEVEL,))
            except InputError:  # a direction without any effect: no interval, counted
                failed += 1
                continue
            finally:
                bar.advance(task)
            failed += bool(frame[["lower", "upper"]].isna().any(axis=None))
            frames.append(frame.assign(member=m))
    return (pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()), failed


def _ends(fits: pd.DataFrame) -> pd.DataFrame:
    """Return one row per fit and coefficient: mean ends, their spreads, and the larger one over the width."""
    groups = fits.dropna().groupby(["fit", "operator"], sort=False)[["lower", "upper"]]
    mean, deviation = groups.mean(), groups.std(ddof=1)
    table = pd.concat([mean, deviation.add_suffix("_spread")], axis=1)
    width = table["upper"] - table["lower"]
    table["relative"] = table[["lower_spread", "upper_spread"]].max(axis=1) / width
    return table.fillna({"relative": np.inf}).reset_index()
