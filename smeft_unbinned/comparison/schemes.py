"""Binning schemes as a card writes them: rate, STXS, given edges, equal content, scores, optimal edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import InputError, brief
from ..runcard_keys import check_keys

KINDS = ("rate", "stxs", "bins", "equal", "score", "optimal")
LIKELIHOODS = ("poisson", "gaussian")
BOTH = "both"
MOST = 10_000
"""Bins of a scheme at most."""
Edges = tuple[tuple[float, float], ...]
"""Bins of a feature: (lower, upper), increasing, without overlap."""


@dataclass(frozen=True)
class Scheme:
    """One way to bin the events.

    kind: of KINDS. name: of the version. likelihood: "poisson" or "gaussian".
    bins: of kind "bins", (lower, upper) of each bin by feature. features: of kinds "equal" and "optimal".
    n: bins per feature or score. operators: whose scores, default all of the comparison.
    family: schemes that differ in n alone have the same one, "" where there is no n.
    """

    kind: str
    name: str
    likelihood: str = LIKELIHOODS[0]
    bins: Mapping[str, Edges] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    n: int = 1
    operators: tuple[str, ...] | None = None
    family: str = ""


def parse_schemes(entries: Any, source: str = "schemes") -> tuple[Scheme, ...]:
    """Return the schemes of a list of names and mappings; raise InputError for what is none.

    A mapping has one of the keys of KINDS, with likelihood: poisson, gaussian or both, name, and what the
    kind needs: {bins: {pt_z: [0, 75, 150, .inf]}}, {equal: [m_zh], n: [2, 4, 8]}, {score: 10},
    {optimal: [m_zh], n: 4}. Edges may be pairs [[0, 75], [100, 150]], which leave out what lies between.
    """
    if not isinstance(entries, list):
        raise InputError(f"{source}: schemes must be a list, got {brief(entries)}")
    result = [scheme for entry in entries for scheme in _parse(entry, source)]
    names = [s.name for s in result]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InputError(
            f"{source}: schemes of one name: {', '.join(twice)}; give one of them another `name`"
        )
    return tuple(result)


def _parse(entry: Any, source: str) -> list[Scheme]:
    entry = {entry: True} if isinstance(entry, str) else entry
    known = (*KINDS, "n", "likelihood", "name", "operators")
    if not isinstance(entry, dict):
        raise InputError(f"{source}: a scheme is a name or a mapping, got {brief(entry)}")
    check_keys(entry, known, known, f"{source}: scheme {brief(entry)}")
    kinds = [key for key in KINDS if key in entry]
    if len(kinds) != 1:
        raise InputError(f"{source}: a scheme needs one of {', '.join(KINDS)}, got {brief(entry)}")
    kind = kinds[0]
    where = f"{source}: scheme {kind}"
    _check_extra(entry, kind, where)
    chosen = entry.get("likelihood", LIKELIHOODS[0])
    if chosen not in (*LIKELIHOODS, BOTH):
        raise InputError(f"{where}: likelihood is poisson, gaussian or both, got {brief(chosen)}")
    bins = _bins(entry[kind], where) if kind == "bins" else {}
    features = _features(entry[kind], where) if kind in ("equal", "optimal") else ()
    operators = entry.get("operators")
    if operators is not None and (not isinstance(operators, list) or not operators):
        raise InputError(f"{where}: operators is a list of coefficients, got {brief(operators)}")
    names = None if operators is None else tuple(map(str, operators))
    result = []
    for n in _counts(entry[kind] if kind == "score" else entry.get("n"), kind, where):
        for likelihood in LIKELIHOODS if chosen == BOTH else (chosen,):
            suffix = ", Gaussian" if likelihood == "gaussian" else ""
            label, family = _label(kind, bins, features, n, names)
            if "name" in entry:
                several = isinstance(entry.get("n", entry[kind]), list)
                label, family = f"{entry['name']}{f', n = {n}' if several else ''}", str(entry["name"])
            family = family + suffix if kind in ("equal", "score", "optimal") else ""
            result.append(Scheme(kind, label + suffix, likelihood, bins, features, n, names, family))
    return result


def _check_extra(entry: Mapping[str, Any], kind: str, where: str) -> None:
    """Refuse keys without a meaning for a kind."""
    if "n" in entry and kind not in ("equal", "optimal"):
        raise InputError(f"{where}: n has no use here; leave it out")
    if "operators" in entry and kind != "score":
        raise InputError(f"{where}: operators are for score; leave them out")
    if kind in ("rate", "stxs") and entry[kind] not in (True, None):
        raise InputError(f"{where} takes no value; write {kind} or {{{kind}: true, likelihood: gaussian}}")


def _counts(value: Any, kind: str, where: str) -> list[int]:
    if kind in ("rate", "stxs", "bins"):
        return [1]
    values = value if isinstance(value, list) else [value]
    bad = [x for x in values if not isinstance(x, int) or isinstance(x, bool) or not 1 < x <= MOST]
    if bad or not values:
        raise InputError(
            f"{where} needs numbers of bins per {'score' if kind == 'score' else 'feature'}, 2 to {MOST}, "
            f"got {brief(value)}"
        )
    return list(dict.fromkeys(values))


def _features(value: Any, where: str) -> tuple[str, ...]:
    names = tuple(map(str, value)) if isinstance(value, list) else (str(value),)
    if not names or len(set(names)) < len(names) or isinstance(value, (dict, bool)):
        raise InputError(f"{where} takes different features, one at least, got {brief(value)}")
    return names


def _bins(value: Any, where: str) -> dict[str, Edges]:
    if not isinstance(value, dict) or not value:
        raise InputError(f"{where} takes edges by feature, {{pt_z: [0, 75, 150, .inf]}}, got {brief(value)}")
    return {str(feature): _edges(edges, f"{where}: {feature}") for feature, edges in value.items()}


def _edges(value: Any, where: str) -> Edges:
    """Return pairs (lower, upper) of edges or of pairs; raise InputError where they are in disorder."""
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError, OverflowError):
        array = np.array([])
    if array.ndim == 1 and array.size > 1:
        array = np.stack([array[:-1], array[1:]], axis=1)
    if array.ndim != 2 or array.shape[1] != 2 or not len(array) or np.isnan(array).any():
        raise InputError(f"{where}: edges are at least two numbers, or pairs of them, got {brief(value)}")
    for low, high in array:
        if low == high:
            raise InputError(
                f"{where}: the bin from {low:g} to {high:g} is empty; leave out one of the edges"
            )
        if low > high:
            raise InputError(f"{where}: edges must increase, got {high:g} after {low:g}; sort them")
    for before, after in pairwise(array):
        if after[0] < before[0]:
            raise InputError(
                f"{where}: the bin from {after[0]:g} comes after that from {before[0]:g}; sort them"
            )
        if after[0] < before[1]:
            raise InputError(
                f"{where}: the bins {before[0]:g} to {before[1]:g} and {after[0]:g} to {after[1]:g} overlap; "
                "an event would count twice"
            )
    return tuple((float(low), float(high)) for low, high in array)


def _label(
    kind: str, bins: Mapping[str, Edges], features: tuple[str, ...], n: int, operators: tuple[str, ...] | None
) -> tuple[str, str]:
    """Return the name of a version, and that of its family."""
    if kind == "rate":
        return "rate", ""
    if kind == "stxs":
        return "STXS", ""
    if kind == "bins":
        counts = " x ".join(str(len(edges)) for edges in bins.values())
        return f"{' x '.join(bins)}, {counts} bins", ""
    if kind == "score":
        family = "score" if operators is None else f"score of {', '.join(operators)}"
        return f"{family}, {n} bins", family
    what = " x ".join(features)
    family = f"{what}, {kind}" if kind == "optimal" else what
    counts = f"{n}^{len(features)}" if len(features) > 1 else str(n)
    return f"{what}, {counts} {kind} bins", family
