"""What a fit result records about where it came from."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..likelihood import Likelihood
from ..operators import expressible
from ..version import __version__


def caveats(likelihood: Likelihood) -> list[str]:
    """Return what the user should know about the datasets of a fit before trusting it."""
    varied = {*likelihood.operators, *likelihood.dependent, *likelihood.fixed}
    found = [
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
    return found


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
        metadata = getattr(d, "metadata", {})
        datasets[d.name] = {"operators": list(d.operators), "checksums": metadata.get("checksums", {})}
    return {
        "versions": versions,
        "basis": likelihood.basis,
        "units": "TeV^-2",
        "datasets": datasets,
        "fixed": dict(likelihood.fixed),
        "dependent": {k: dict(v) for k, v in likelihood.dependent.items()},
        "bounds": {k: list(v) for k, v in likelihood.bounds.items()},
        **settings,
    }
