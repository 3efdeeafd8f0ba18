"""A fit in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from ..fit import FitResult
from ..statistics import Goodness
from ..statistics.fisher import CONSTRAINTS
from ..statistics.goodness import TOTAL
from .found import ALONE, PAIRED, Found
from .recomputed import Recomputed

FALLBACK = (0.68, 0.95)
"""Levels of intervals of a result from which any level can be computed."""
STRONG = 0.9
MOST = 6
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def levels(result: FitResult) -> list[float]:
    """Return the levels of the intervals of a result, from low to high; none for a fit that failed."""
    if not result.valid:
        return []
    return sorted(result.stored_intervals) if result.samples is None else list(FALLBACK)


def listed(names: Sequence[str], most: int = MOST) -> str:
    """Return names in a sentence: "a, b and c", cut after some."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def counted(number: int, noun: str) -> str:
    """Return "1 fit", "2 fits"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def brief(x: float) -> str:
    """Return a positive number with two digits: "0.019", "1.7×10⁵"."""
    if not x or 1e-4 <= x < 1e5:
        return f"{x:.2g}"
    mantissa, power = f"{x:.1e}".split("e")
    raised = str(int(power)).translate(RAISED)
    return f"{mantissa}×10{raised}"


def signed(x: float) -> str:
    """Return a correlation, with its sign."""
    return f"{x:+.2f}".replace("-", "−")


def summary(found: Found, again: Recomputed) -> list[str]:
    """Return sentences about a folder, the most important first."""
    result = found.result
    if result is None:
        return _partial(found)
    if not result.valid:
        return [
            _opening(result, again),
            "It did not converge: none of its numbers is shown, and none may be used.",
            *_partial(found),
        ]
    sentences = [_opening(result, again) + " It converged."]
    if again.best is not None:
        sentences.append(_agreement(again.best, again.sm))
    sentences += [*_intervals(result), *_correlations(result), *_minima(result)]
    return sentences + _partial(found)


def _opening(result: FitResult, again: Recomputed) -> str:
    nuisances = [n for n in result.parameters if n in result.nuisances]
    more = f" and {counted(len(nuisances), 'nuisance parameter')}" if nuisances else ""
    given = ""
    if again.information is not None:
        measured = [name for name in again.information.parts if name != CONSTRAINTS]
        given = f" to {counted(len(measured), 'measurement')}"
    elif data := result.provenance.get("datasets"):
        given = f" to {counted(len(data), 'dataset')}"
    return f"A fit of {counted(len(result.operators), 'coefficient')}{more}{given}, method {result.method}."


def _partial(found: Found) -> list[str]:
    """Return sentences about fits of one coefficient, and of two, at a time."""
    sentences = []
    pairs = {", ".join(pair): result for pair, result in found.pairs.items()}
    for noun, of, how, fits in (
        ("coefficient", "", ALONE, found.alone),
        ("pair", " of coefficients", PAIRED, pairs),
    ):
        if fits:
            bad = [name for name, result in fits.items() if not result.valid]
            told = f" These fits failed: {listed(bad)}." if bad else ""
            sentences.append(f"{counted(len(fits), noun)}{of} fitted {how}, the others at zero.{told}")
    return sentences


def _agreement(best: Goodness, sm: Goodness | None) -> str:
    row = best.table.loc[TOTAL] if TOTAL in best.table.index else best.table.iloc[-1]
    if not row["points"]:
        return "Its data are events: -2 log L is known relative to the SM only."
    text = f"At the best fit chi2 is {row['value']:.1f} for {int(row['points'])} points"
    if np.isfinite(row["p"]):
        text += f" (p = {row['p']:.2g})"
    if sm is not None and TOTAL in sm.table.index:
        text += f"; the SM has {float(sm.table['value'][TOTAL]):.1f}"
    return text + "."


def _intervals(result: FitResult) -> Iterator[str]:
    known = levels(result)
    if not known or not result.operators:
        return
    level = min(known, key=lambda x: abs(x - 0.95))
    frame = result.intervals(level).loc[list(result.operators)]
    half = (0.5 * (frame["upper"] - frame["lower"])).sort_values(kind="stable")
    away = [str(n) for n in frame.index[(frame["lower"] > 0) | (frame["upper"] < 0)]]
    shown = f"{100 * level:.4g} %"
    if away:
        verb = "interval of {} excludes" if len(away) == 1 else "intervals of {} exclude"
        yield f"At {shown} the {verb.format(listed(away))} zero."
    else:
        yield f"All intervals at {shown} contain zero."
    finite = half[np.isfinite(half)]
    if len(finite) > 1:
        best, worst = (f"{finite.index[k]}, to ±{brief(finite.iloc[k])}" for k in (0, -1))
        yield f"At {shown} the best constrained coefficient is {best} TeV⁻², the least constrained {worst}."
    if missing := [str(n) for n in half.index[~np.isfinite(half)]]:
        yield f"No ends were found of the intervals of {listed(missing)}."


def strongest(result: FitResult, least: float = 0.0) -> pd.DataFrame:
    """Return pairs of coefficients by the size of their correlation: columns first, second, correlation."""
    names = list(result.operators)
    matrix = result.correlation.loc[names, names].to_numpy()
    i, j = np.triu_indices(len(names), 1)
    frame = pd.DataFrame(
        {"first": [names[k] for k in i], "second": [names[k] for k in j], "correlation": matrix[i, j]}
    )
    frame = frame[frame["correlation"].abs() >= least]
    return frame.sort_values("correlation", key=lambda x: -x.abs(), kind="stable", ignore_index=True)


def _correlations(result: FitResult) -> Iterator[str]:
    pairs = strongest(result, STRONG)
    if len(pairs):
        rows = [f"{a} with {b} ({signed(float(x))})" for a, b, x in pairs.head(MOST).to_numpy()]
        more = f" and {len(pairs) - MOST} more" if len(pairs) > MOST else ""
        noun = "pair is" if len(pairs) == 1 else "pairs are"
        yield f"{len(pairs)} {noun} correlated by more than {STRONG:g}: {', '.join(rows)}{more}."


def _minima(result: FitResult) -> Iterator[str]:
    minima = result.minima
    if minima is not None and len(minima) > 1:
        next_one = float(np.sort(minima["m2logl"].to_numpy())[1] - minima["m2logl"].min())
        yield (f"There are {len(minima)} distinct minima, the second lowest with −2 log L higher by "
               f"{brief(next_one)}.")  # fmt: skip
