"""The fits of one version: intervals, Fisher information, contours and networks, kept in a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..fit import contour, fit_replicas, minimise
from ..fit.design import design
from ..fit.result_file import finite_or_null
from ..inputfile import fitting, read_json
from ..likelihood import Likelihood
from ..statistics.fisher import fisher
from ..storage import write_text
from .ends import Piece, ellipse, parabola_pieces, profile_pieces
from .intervals import ALONE, TOGETHER
from .parabola import linearised
from .sample import Sample
from .versions import Version, restrict

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Task:
    """A version and what it is fitted with.

    rest: likelihood of further datasets, None for the version alone. levels, members, pairs: of the card,
    the pairs of which contours are drawn.
    """

    version: Version
    sample: Sample
    rest: Likelihood | None
    levels: tuple[float, ...]
    members: str
    pairs: tuple[tuple[str, str], ...]

    def likelihood(self, names: Sequence[str], alone: bool = False) -> Likelihood:
        """Return the likelihood in which coefficients vary, and unless alone all further ones of the rest."""
        own = self.version.restricted(names)
        if self.rest is None:
            return Likelihood([own], names)
        rest = self.rest
        datasets = rest.datasets
        if self.version.terms == "linear":
            datasets = tuple(linearised(d) for d in datasets)
        free = dict.fromkeys([*names, *rest.operators])
        whole = Likelihood(
            [own, *datasets], list(free), fixed=rest.fixed, dependent=rest.dependent,
            constraints=rest.constraints, evolution=rest.evolution, allow_overlap=rest.allow_overlap,
        )  # fmt: skip
        return whole.only(names) if alone else whole

    def at(self, likelihood: Likelihood) -> Real:
        """Return the point of the data in the parameters of a likelihood, (p,)."""
        return np.array([self.sample.point.get(name, 0.0) for name in likelihood.parameters])


def record(task: Task, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Return everything that is computed for a version, JSON types.

    fits: [{fit, operators, best, note, intervals: [{operator, level, lower, upper, points, slopes}]}], the
    points over the coefficients of the comparison. fisher: individual and marginal information by operator
    (TeV^4), and logdet. contours: [{pair, level, curves}]. members: [{fit, network, operator, level, ...}].
    """
    names = task.sample.operators
    fits = []
    for name in names:
        say(name)
        fits.append(_fit(task, ALONE, [name]))
    if len(names) > 1:
        say("all together")
        fits.append(_fit(task, TOGETHER, names))
    say("Fisher information")
    content: dict[str, Any] = {"fits": fits, "fisher": _fisher(task), "contours": [], "members": []}
    for a, b in task.pairs:
        say(f"contour of {a}, {b}")
        content["contours"] += _contours(task, a, b)
    if task.version.networks is not None and task.rest is None and task.members != "none":
        groups = [[name] for name in names]
        if task.members == "both" and len(names) > 1:
            groups.append(list(names))
        for group in groups:
            say(f"networks, {', '.join(group)}")
            content["members"] += _members(task, group)
    plain: dict[str, Any] = finite_or_null(content)
    return plain


def stored(task: Task, path: Path, mark: str, say: Callable[[str], None]) -> tuple[dict[str, Any], bool]:
    """Return the record of a version from its file, if it is of the same task, or make and keep it.

    The second value says whether it was there.
    """
    with suppress(InputError), fitting(path, "kept fit"):  # missing, damaged or of something else: made anew
        known = read_json(path, "kept fit")
        if known["mark"] == mark:
            return dict(known["record"]), True
    made = record(task, say)
    write_text(path, json.dumps({"mark": mark, "record": made}))
    return made, False


def _fit(task: Task, kind: str, names: Sequence[str]) -> dict[str, Any]:
    likelihood = task.likelihood(names, alone=kind == ALONE)
    wanted = list(names)
    notes: list[str] = list(task.version.notes)
    pieces: dict[float, dict[str, list[Piece]]] = {}
    best: Real
    if task.version.terms == "linear":
        problem = design(likelihood)
        if problem is None:
            raise InputError("global: its rules between coefficients are not linear; use quadratic: true")
        for level in task.levels:
            best, pieces[level] = parabola_pieces(problem, wanted, level)
        flat = [n for n in wanted if np.isinf(pieces[task.levels[0]][n][0].upper)]
        notes += [f"nothing constrains {', '.join(flat)} with linear rates"] if flat else []
    else:
        minima, messages = _minima(task, likelihood)
        best, notes = minima[0], notes + messages
        pieces = {x: profile_pieces(likelihood, minima, wanted, x) for x in task.levels}
    place = [
        likelihood.parameters.index(n) if n in likelihood.parameters else -1 for n in task.sample.operators
    ]

    def own(point: Real) -> list[float]:
        return [float(point[k]) if k >= 0 else 0.0 for k in place]

    rows = [
        {
            "operator": name, "level": level, "lower": piece.lower, "upper": piece.upper,
            "points": [own(point) for point in piece.points], "slopes": piece.slopes.tolist(),
        }
        for level, by_name in pieces.items() for name, found in by_name.items() for piece in found
    ]  # fmt: skip
    return {"fit": kind, "operators": wanted, "best": own(best), "note": "; ".join(notes), "intervals": rows}


def _minima(task: Task, likelihood: Likelihood) -> tuple[Real, list[str]]:
    """Return the minima (m, p), lowest first, and what the search has to say.

    Data expected at a point have a minimum there; others, where the same is expected, are looked for. With
    fewer bins than coefficients these are no points but a surface, on which the intervals begin anywhere.
    """
    version, origin = task.version, task.at(likelihood)
    free = len(likelihood.parameters)
    settled = version.known and task.rest is None
    if settled and version.bins is not None and version.bins < free:
        return origin[None], []
    start = dict(zip(likelihood.parameters, origin, strict=True))
    options: dict[str, Any] = {} if task.rest is not None else {"starts": 0}
    result = minimise(likelihood, start=start, levels=(), intervals=False, **options)
    assert result.minima is not None
    minima = result.minima[list(likelihood.parameters)].to_numpy(float)
    if not settled:
        return minima, [m for m in result.messages if "more minima" not in m]
    # the one that is known, without the rounding of a search
    near = np.abs(np.asarray(likelihood.m2logl(minima)) - float(likelihood.m2logl(origin))) < 1e-6
    apart = np.abs(minima - origin).max(axis=1) > 1e-3 * np.abs(minima).max(initial=1e-12)
    return np.concatenate([origin[None], minima[apart | ~near]]), []


def _fisher(task: Task) -> dict[str, Any]:
    names = task.sample.operators
    likelihood = task.likelihood(names)
    found = fisher(likelihood, task.sample.point if task.version.terms == "quadratic" else None)
    order = [found.operators.index(n) for n in names]
    matrix = found.coefficients
    individual = np.maximum(np.diag(matrix)[order], 0.0)
    marginal = found.errors["marginal"].to_numpy()[order] ** -2.0
    rest = [k for k in range(len(matrix)) if k not in order]
    own = matrix[np.ix_(order, order)]
    if rest:
        mixed = matrix[np.ix_(order, rest)]
        own = own - mixed @ np.linalg.pinv(matrix[np.ix_(rest, rest)], hermitian=True) @ mixed.T
    d = np.sqrt(np.where(np.diag(own) > 0, np.diag(own), 1.0))
    values = np.linalg.eigvalsh(own / np.outer(d, d))
    flat = values[0] <= 1e-11 * values[-1]
    logdet = -np.inf if flat else float(np.sum(np.log(values)) + 2.0 * np.sum(np.log(d)))
    return {
        "individual": dict(zip(names, individual.tolist(), strict=True)),
        "marginal": dict(zip(names, marginal.tolist(), strict=True)),
        "logdet": logdet,
    }


def _contours(task: Task, a: str, b: str) -> list[dict[str, Any]]:
    """Return the contour of two coefficients at the highest level, all others at zero."""
    likelihood, level = task.likelihood([a, b], alone=True), max(task.levels)
    curves: list[Real] = []
    note = ""
    if task.version.terms == "linear":
        problem = design(likelihood)
        curve = None if problem is None else ellipse(problem, (a, b), level)
        curves, note = ([], "no ellipse: a direction is not constrained") if curve is None else ([curve], "")
    else:
        try:
            start = dict(zip(likelihood.parameters, task.at(likelihood), strict=True))
            result = minimise(likelihood, start=start, starts=0, levels=(), intervals=False)
            found = contour(likelihood, a, b, (level,), result=result)
            curves = [c.to_numpy() for c in found[level]]
        except InputError as error:  # a region without end
            note = str(error)
    return [{"pair": [a, b], "level": level, "curves": [c.tolist() for c in curves], "note": note}]


def _members(task: Task, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the intervals of every network, followed from the minimum of their mean."""
    networks = restrict(task.version.networks, names)
    likelihood = Likelihood([networks], names)
    start = dict(zip(likelihood.parameters, task.at(likelihood), strict=True))
    result = minimise(likelihood, start=start, starts=0, levels=(), intervals=False)
    try:
        found = fit_replicas(likelihood, result, levels=task.levels)
    except InputError:  # the mean did not converge: the version itself says so
        return []
    kind = ALONE if len(names) == 1 else TOGETHER
    return [
        {
            "fit": kind, "network": int(m), "operator": name, "level": level,
            "lower": float(frame.loc[m, (name, "lower")]), "upper": float(frame.loc[m, (name, "upper")]),
        }
        for level, frame in found.ends.items() for name in names for m in frame.index
    ]  # fmt: skip


def pairs_of(
    contours: str | tuple[tuple[str, str], ...], operators: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Return the pairs of which a card wants contours; raise InputError for an unknown coefficient."""
    if isinstance(contours, str):
        wanted = contours == "all" or (contours == "auto" and len(operators) <= 3)
        return tuple(combinations(operators, 2)) if wanted else ()
    for name in [n for pair in contours for n in pair]:
        if name not in operators:
            raise InputError(
                f"contours: {name!r} is no coefficient of the comparison, {', '.join(operators)}"
            )
    return contours
