"""What a fit result records about where it came from, and what it says about the datasets it met."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd

from ..datasets import GaussianDataset
from ..datasets.protocol import Dataset, nuisances_of
from ..likelihood import Likelihood
from ..operators import expressible
from ..version import __version__


def caveats(likelihood: Likelihood) -> list[str]:
    """Return what the user should know about the datasets of a fit before trusting it."""
    varied = {*likelihood.operators, *likelihood.dependent, *likelihood.fixed}
    found = [*likelihood.notes]
    found += [
        f"{d.name} takes no account of {', '.join(missing)}, which {name} moves too"
        for d in likelihood.datasets
        for name, missing in getattr(d, "metadata", {}).get("incomplete", {}).items()
        if name in varied
    ]
    for d in likelihood.datasets:
        metadata = getattr(d, "metadata", {})
        found += [f"{d.name}: {note}" for note in metadata.get("notes", ())]
        source, zero = metadata.get("translated_from", d.basis), metadata.get("operators_set_to_zero", ())
        known = expressible(zero, source, d.basis)
        lost = [name for name in zero if name not in known]
        if lost:
            found.append(
                f"{d.name}: {', '.join(lost)} set to zero, basis {d.basis!r} has no such coefficient"
            )
        if isinstance(d, GaussianDataset) and _is_correlation(d.covariance):
            found.append(f"{d.name}: its covariance has only ones on the diagonal, as correlations have")
    return [*found, *_mixed(likelihood.datasets)]


def _is_correlation(covariance: np.ndarray) -> bool:
    """Whether a matrix (n, n) looks like one of correlations: units rarely make every variance 1."""
    return bool(np.all(np.diag(covariance) == 1.0) and np.any(covariance != np.eye(len(covariance))))


def _mixed(datasets: Sequence[Dataset]) -> list[str]:
    """Return what to say of exported datasets of which some hold real events and some pseudo-data."""
    kinds = {d.name: data for d in datasets if (data := getattr(d, "metadata", {}).get("data"))}
    real = [name for name, data in kinds.items() if data == "observed"]
    made = [f"{name} ({data})" for name, data in kinds.items() if data != "observed"]
    return [f"observed data, {', '.join(real)}, and pseudo-data, {', '.join(made)}"] if real and made else []


def nuisances_in(likelihood: Likelihood) -> tuple[str, ...]:
    """Return every nuisance of the datasets, free, fixed or profiled."""
    return tuple(dict.fromkeys(name for d in likelihood.datasets for name in nuisances_of(d)))


def counters(likelihood: Likelihood) -> tuple[int, int]:
    """Return how often ratios were not positive, and nuisances without a minimum, in all values so far."""
    penalised = sum(int(getattr(d, "penalised", 0)) for d in likelihood.datasets)
    return penalised, int(getattr(likelihood, "unconverged", 0))


def met(likelihood: Likelihood, before: tuple[int, int]) -> list[str]:
    """Return what to say about the values since `counters` gave these numbers."""
    ratios, points = (now - then for now, then in zip(counters(likelihood), before, strict=True))
    found = []
    if ratios > 0:
        found.append(
            f"{ratios} ratios that are not positive were met during the fit and counted as a large penalty"
        )
    if points > 0:
        found.append(f"at {points} points of the fit no minimum over the nuisances was found")
    return found


def pulls(likelihood: Likelihood, best: Mapping[str, float], errors: pd.Series | None = None) -> list[str]:
    """Return which constrained nuisances lie beyond two of their errors, or are known much better now.

    best: by name. errors: of a fit, by name, at most half of which of the constraint is told.
    """
    far, narrow = [], []
    for name, pair in likelihood.constraints.items():
        if pair is None or name in likelihood.fixed or name not in best:
            continue
        pull = (best[name] - pair[0]) / pair[1]
        if abs(pull) > 2:
            far.append(f"{name} by {pull:+.1f}")
        if errors is not None and name in errors.index and errors[name] < 0.5 * pair[1]:
            narrow.append(f"{name} to {errors[name] / pair[1]:.2g}")
    found = [f"pulled beyond two errors of the constraint: {', '.join(far)}"] if far else []
    return found + ([f"constrained by the data, in errors before: {', '.join(narrow)}"] if narrow else [])


def provenance(likelihood: Likelihood, packages: tuple[str, ...], **settings: Any) -> dict[str, Any]:
    """Return versions, the datasets with their checksums, the basis, and the settings of the fit."""
    versions = {"smeft-unbinned": __version__}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    datasets = {}
    for d in likelihood.datasets:
        datasets[d.name] = {"operators": list(d.operators), "checksums": checksums(d)}
        if own := nuisances_of(d):
            datasets[d.name]["nuisances"] = list(own)
    constraints = {k: pair if pair is None else list(pair) for k, pair in likelihood.constraints.items()}
    profiled = [k for k in constraints if k not in (*likelihood.nuisances, *likelihood.fixed)]
    return {
        "versions": versions,
        "basis": likelihood.basis,
        "units": "TeV^-2",
        "datasets": datasets,
        "fixed": dict(likelihood.fixed),
        "dependent": {k: _rule(v) for k, v in likelihood.dependent.items()},
        "bounds": {k: list(v) for k, v in likelihood.bounds.items()},
        **({"constraints": constraints, "profiled": profiled} if constraints else {}),
        **({"sm_chi2": chi2} if (chi2 := sm_chi2(likelihood)) else {}),
        **settings,
    }


def checksums(dataset: Dataset) -> dict[str, str]:
    """Return the SHA-256 of the arrays of a dataset: those of its file, or of a binned dataset as it is."""
    known = getattr(dataset, "metadata", {}).get("checksums", {})
    if known or not isinstance(dataset, GaussianDataset):
        return dict(known)
    arrays = {
        "data": dataset.data,
        "theory": dataset.theory.coefficients,
        "covariance": dataset.covariance,
        **({"shifts": dataset.shifts} if dataset.nuisances else {}),
    }
    return {k: hashlib.sha256(np.asarray(a, dtype="<f8").tobytes()).hexdigest() for k, a in arrays.items()}


def sm_chi2(likelihood: Likelihood) -> dict[str, float]:
    """Return the chi2 of every binned dataset at the SM by name, what is left out of -2 log L.

    Nuisances are zero there, or at their minimum in a profiled likelihood. "constraints" is the chi2 of their
    constraints, if it is not zero.
    """
    at_sm: Mapping[str, Any] = getattr(likelihood, "_zero", {})
    chi2 = {
        d.name: float(d.chi2(np.zeros(len(d.parameters)))) + float(at_sm.get(d.name, 0.0))
        for d in likelihood.datasets
        if isinstance(d, GaussianDataset)
    }
    pairs = [pair for pair in likelihood.constraints.values() if pair is not None]
    pulled = sum((centre / error) ** 2 for centre, error in pairs) + float(at_sm.get("constraints", 0.0))
    return chi2 | ({"constraints": float(pulled)} if chi2 and pulled else {})


def _rule(rule: Any) -> Any:
    """Return a rule of a dependent coefficient as JSON: {name: factor} or [[factor, {name: power}], ...]."""
    if isinstance(rule, Mapping):
        return dict(rule)
    return [[factor, dict(powers)] for factor, powers in rule]
