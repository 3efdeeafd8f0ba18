"""What follows from a stored fit and its runcard: agreement with the data, Fisher information, contours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..fit import FitResult
from ..likelihood import Likelihood
from ..runcard import Runcard
from ..statistics import Fisher, Goodness, fisher, goodness
from .found import Found
from .paired import Contours, contours, drawn

TOLERANCE = 1e-3
"""Difference of -2 log L at the best fit, absolute and relative, up to which the data are the same."""


@dataclass(frozen=True, eq=False)
class Recomputed:
    """What the runcard of a fit gives today; None where that is not possible, and `notes` say why.

    best, sm: the agreement with the data at the best fit and at the SM. information: at `where`.
    contours: of the fits of two coefficients at a time.
    """

    best: Goodness | None = None
    sm: Goodness | None = None
    information: Fisher | None = None
    where: str = ""
    contours: Contours = ()
    notes: tuple[str, ...] = ()


def recompute(found: Found, say: Callable[[str], None] = lambda _: None) -> Recomputed:
    """Load the data of the fits and evaluate them; nothing is fitted. say: is told what is being done."""
    say("data")
    again = _whole(found)
    if not drawn(found):
        return again
    curves, notes = _pairs(found, say)
    return replace(again, contours=curves, notes=(*again.notes, *notes))


def _whole(found: Found) -> Recomputed:
    """Return what there is of the fit of all coefficients."""
    result = found.result
    if result is None:
        return Recomputed()
    wanted = set(result.operators)
    likelihood, why = _likelihood(_cards(found.folder, result), lambda known: known == wanted)
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
    return Recomputed(best, sm, information, where, notes=tuple(notes))


def _pairs(found: Found, say: Callable[[str], None]) -> tuple[Contours, tuple[str, ...]]:
    """Return the contours of fits of two coefficients at a time, or why there are none."""
    places = (found.folder / "pairwise", found.folder)
    cards = (card for place in places for card in sorted(place.glob("*.yaml")))
    wanted = {name for pair in drawn(found) for name in pair}
    likelihood, why = _likelihood(cards, lambda known: known >= wanted)
    if likelihood is not None:
        other = (_other_data(likelihood.only(pair), result) for pair, result in drawn(found).items())
        why = next(filter(None, other), "")
        if not why:
            return contours(found, likelihood, say)
    return (), (f"Contours of two coefficients at a time are not shown: {why}",)


def _likelihood(
    cards: Iterable[Path | Runcard], fits: Callable[[set[str]], bool]
) -> tuple[Likelihood | None, str]:
    """Return the likelihood of the first card that can be used, or why there is none.

    fits: whether these are the coefficients, by name.
    """
    why = "no runcard lies beside the result, and none is in it"
    for card in cards:
        try:
            likelihood = (Runcard.load(card) if isinstance(card, Path) else card).likelihood()
        except (InputError, OSError) as error:
            why = str(error)
            continue
        if fits(set(likelihood.operators)):
            return likelihood, ""
        why = "the runcard has other coefficients than the fit"
    return None, why


def _cards(folder: Path, result: FitResult) -> Iterator[Path | Runcard]:
    """Yield the cards beside the result, which have full paths, and the one in it."""
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
