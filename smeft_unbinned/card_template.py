"""A runcard with a comment on every key, for datasets that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .datasets import GaussianDataset, PoissonDataset
from .datasets.files import load_dataset
from .errors import InputError
from .operators import expressible, translatable
from .runcard import Runcard

RANGE = 10.0
"""Half-width of a suggested prior range, in errors of the coefficient alone."""
SHIPPED, FREE = ("ZH_13TeV_STXS", "LO"), ("OpW", "OpqMi", "O3pq")
"""The binned dataset of a card without any, and which coefficients its four points are to constrain."""


def template(
    folder: Path,
    files: Sequence[Path] = (),
    binned: Sequence[tuple[str, str]] = (),
    data_path: Path | None = None,
    theory_path: Path | None = None,
    basis: str = "smefit",
    seed: int = 0,
) -> str:
    """Return the text of a runcard that loads and fits as it is.

    folder: where the card is going to lie; its paths are relative to it. files: of exported datasets.
    binned: (name, order) of binned ones, the default order where that is empty.
    Raises InputError for datasets that cannot be loaded, and where no coefficient is known in the basis.
    """
    shipped = not files and not binned
    if shipped:
        binned = [SHIPPED]
    entries: list[dict[str, str]] = [
        {"name": name, "order": order} if order else {"name": name} for name, order in binned
    ]
    names: dict[str, None] = {}
    for file in files:
        dataset = load_dataset(file)
        key = "poisson" if isinstance(dataset, PoissonDataset) else "unbinned"
        entries.append({"name": dataset.name, key: _seen_from(folder, file)})
        known = expressible(dataset.operators, dataset.basis, basis)
        if known:
            names |= dict.fromkeys(dataset.restrict(known).in_basis(basis).operators)
    if binned:
        own = [e for e in entries if not {"unbinned", "poisson"} & e.keys()]
        kept = None if basis == "smefit" else translatable("smefit", basis)
        kept = FREE if shipped and kept is None else kept
        tables = GaussianDataset.load(own, data_path=data_path, theory_path=theory_path, operators=kept)
        names |= dict.fromkeys(tables.in_basis(basis).operators)
    paths = {"data_path": data_path, "theory_path": theory_path}
    given = {k: _seen_from(folder, v) for k, v in paths.items() if v is not None}
    if not names:
        raise InputError(
            f"no coefficient of these datasets can be written in basis {basis!r}; name that of the datasets "
            "as --basis"
        )
    card = {**given, "basis": basis, "datasets": entries, "coefficients": dict.fromkeys(names)}
    likelihood = Runcard.from_dict(card, folder, "the new card").likelihood()
    curvature = np.diag(likelihood.hessian(np.zeros(len(likelihood.parameters))))
    half = RANGE * np.sqrt(2.0 / np.maximum(curvature, 1e-12))
    ranges = {n: _rounded(x) for n, x in zip(likelihood.parameters, half, strict=True) if n in names}
    return _text(entries, ranges, given, basis, seed)


def _seen_from(folder: Path, path: Path) -> str:
    """Return a path relative to the card where it lies beside or below it, absolute elsewhere."""
    whole = path.resolve()
    return str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)


def _rounded(x: float) -> float:
    """Return a number of one digit, 1, 2 or 5, that is not smaller, at most 1000."""
    power = 10.0 ** np.floor(np.log10(x))
    step = next(s for s in (1.0, 2.0, 5.0, 10.0) if s * power >= x * (1 - 1e-9))
    return float(min(f"{step * power:.1g}", "1000", key=float))


def _text(
    entries: Sequence[Mapping[str, str]],
    ranges: Mapping[str, float],
    paths: Mapping[str, str],
    basis: str,
    seed: int,
) -> str:
    def line(value: Any) -> str:
        return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).strip()

    datasets = "\n".join(f"  - {line(dict(e))}" for e in entries)
    width = max(len(n) for n in ranges)
    coefficients = "\n".join(
        f"  {name + ':':{width + 1}} {{min: {-x:g}, max: {x:g}}}" for name, x in ranges.items()
    )
    folders = "\n".join(f"{line({key: value})[1:-1]}" for key, value in paths.items()) or (
        "# data_path: commondata      # folder of NAME.yaml; left out: the tables shipped with the package\n"
        "# theory_path: theory        # folder of NAME.json; left out: that of the data"
    )
    return f"""\
# A fit. `smeft-unbinned validate` checks this file, `smeft-unbinned fit` runs it.
# All keys: docs/runcard.md.

# Results go to result_path/result_ID; the name of this file is the default of the latter.
result_path: results

# What is fitted. A binned dataset has its name and the order of its predictions; an exported one its file:
#   - {{name: zh_14tev, unbinned: zh_14tev.dataset}}
#   - {{name: zh_bins, poisson: zh_bins.dataset}}
datasets:
{datasets}
{folders}

# Names of the coefficients: smefit (OpW, ...), warsaw (cHW, ...), wcxf (phiW, ...).
basis: {basis}

# Coefficients, c/Lambda^2 in TeV^-2. Those that are not listed are zero. min and max are the flat prior of
# sampling (about {RANGE:g} errors of each alone); they do not limit a minimisation. Other forms:
#   OpB: {{constrain: true, value: 0.1}}             # fixed
#   OpWB: {{constrain: [{{OpW: 0.5}}]}}                # half of OpW
#   OpBox: {{constrain: [{{OpW: [0.1, 2]}}]}}          # 0.1 OpW^2
coefficients:
{coefficients}

use_quad: true              # quadratic terms of binned predictions; unbinned ratios always have theirs
use_t0: false               # multiplicative uncertainties scale with the prediction, not with the data
use_theory_covmat: true     # add the theory covariance of binned predictions
# cutoff_scale: 1000        # GeV; binned points at or above it are left out
# rge: {{init_scale: 1000, obs_scale: dynamic}}     # the coefficients are those at init_scale and run

# Sampling (`fit --method ultranest`, and others with n_samples).
nlive: 400                  # live points: more make everything more accurate, and take longer
frac_remain: 0.01           # stop when this fraction of the evidence is left
n_samples: 10000
seed: {seed}                     # of every random choice
"""
