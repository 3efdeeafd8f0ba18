"""Agreement with the data and Fisher information of a stored fit, recomputed from its runcard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..fit import FitResult
from ..likelihood import Likelihood
from ..runcard import Runcard
from ..statistics import Fisher, Goodness, fisher, goodness
from .found import Found

TOLERANCE = 1e-3
"""Difference of -2 log L at the best fit, absolute and relative, up to which the data are the same."""


@dataclass(frozen=True, eq=False)
class Recomputed:
    """What the runcard of a fit gives today; None where that is not possible, and `notes` say why.

    best, sm: the agreement with the data at the best fit and at the SM. information: at `where`.
    """

    best: Goodness | None = None
    sm: Goodness | None = None
    information: Fisher | None = None
    where: str = ""
    notes: tuple[str, ...] = ()


def recompute(found: Found) -> Recomputed:
    """Load the data of the fit and evaluate them; nothing is fitted."""
    result = found.result
    if result is None:
        return Recomputed()
    likelihood, why = _likelihood(found.folder, result)
    if likelihood is None:
        return Recomputed(notes=(f"chi2 and Fisher information are not shown: {why}",))
    notes: list[str] = []
    best = sm = None
    if result.valid and (why := _other_data(likelihood, result)):
        notes.append(f"chi2 is not shown: {why}")
    else:
        try:
            best = goodness(likelihood, result) if result.valid else None
            sm = goodness(likelihood)
        except InputError as error:
            notes.append(f"chi2 is not shown: {error}")
    where = "the best fit" if result.valid else "the SM"
    try:
        point = {n: result.best[n] for n in result.parameters} if result.valid else None
        information = fisher(likelihood, point)
    except (InputError, KeyError, np.linalg.LinAlgError) as error:
        information = None
        notes.append(f"Fisher information is not shown: {error}")
    return Recomputed(best, sm, information, where, tuple(notes))


def _likelihood(folder: Path, result: FitResult) -> tuple[Likelihood | None, str]:
    """Return the likelihood of the card beside the result, or of the one stored in it, or why there is none.

    The former has full paths.
    """
    why = "the result holds no runcard and none lies beside it"
    for card in _cards(folder, result):
        try:
            likelihood = (Runcard.load(card) if isinstance(card, Path) else card).likelihood()
        except (InputError, OSError) as error:
            why = str(error)
            continue
        if set(likelihood.operators) == set(result.operators):
            return likelihood, ""
        why = "the runcard has other coefficients than the fit"
    return None, why


def _cards(folder: Path, result: FitResult) -> Iterator[Path | Runcard]:
    if result.runcard is not None:
        yield from sorted(folder.glob("*.yaml"))
        yield Runcard.from_dict(dict(result.runcard), folder, "the stored runcard")


def _other_data(likelihood: Likelihood, result: FitResult) -> str:
    """Return why the data of the card are not those of the fit, empty if they are."""
    try:
        point = np.array([result.best[n] for n in likelihood.parameters])
        now = float(likelihood.m2logl(point))
    except (KeyError, InputError) as error:
        return f"the runcard does not fit the result: {error}"
    if abs(now - result.m2logl) <= TOLERANCE * max(1.0, abs(result.m2logl)):
        return ""
    return (
        f"the data of the runcard give -2 log L = {now:.4g} at the best fit, the result has "
        f"{result.m2logl:.4g}: it was fitted to other data (--asimov), or the data have changed since"
    )
