"""chi2 of SMEFiT itself for the cards that ours is compared with; runs where `smefit` is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

OPERATORS = ("O3pq", "O81qq", "OpG", "OpW", "OtG", "OtZ")
"""The coefficients of the card, sorted by name as SMEFiT sorts them."""
NAMES = (
    "CMS_tt_13TeV_ljets_2016_Mtt",
    "CMS_ttZ_13TeV_pTZ",
    "ATLAS_ttZ_13TeV_pTZ",
    "ATLAS_ZH_Hbb_13TeV",
    "ATLAS_STXS_runII_13TeV",
)
LO = [{"name": name} for name in NAMES]
NLO = [{"name": name, "order": "LO" if name == "ATLAS_ZH_Hbb_13TeV" else "NLO_QCD"} for name in NAMES]
SHARED = [
    {"name": name}
    for name in (
        "ATLAS_WW_13TeV_2016_memu",
        "ATLAS_WZ_13TeV_2016_mTWZ",
        "CMS_t_tch_8TeV_inc",
        "CMS_tt2D_8TeV_dilep_MttYtt",
    )
]
"""Datasets of which pairs share the uncertainty of a luminosity."""
BASE: dict[str, Any] = {
    "datasets": NLO,
    "operators": OPERATORS,
    "use_quad": True,
    "use_t0": True,
    "use_theory_covmat": True,
    "use_multiplicative_prescription": False,
}
CARDS: dict[str, dict[str, Any]] = {
    "NLO": BASE,
    "LO": {**BASE, "datasets": LO},
    "linear": {**BASE, "use_quad": False},
    "no t0": {**BASE, "use_t0": False},
    "no theory covariance": {**BASE, "use_theory_covmat": False},
    "multiplicative": {**BASE, "use_multiplicative_prescription": True},
    "shared luminosity": {**BASE, "datasets": SHARED, "operators": ("O3pq", "OWWW", "OtG", "OtW")},
}
"""Arguments of `GaussianDataset.load` by a name for the case."""


def folders() -> dict[str, Path] | None:
    """Return where the tables of SMEFiT's database are, None where SMEFT_UNBINNED_DATA does not say."""
    root = os.environ.get("SMEFT_UNBINNED_DATA")
    if not root:
        return None
    database = Path(root) / "smefit_database"
    return {"data_path": database / "commondata", "theory_path": database / "theory"}


def points(n_operators: int, seed: int = 20240229, n: int = 20) -> np.ndarray:
    """Return random coefficients in TeV^-2, (n, n_operators), the first one the SM."""
    c = np.random.default_rng(seed).normal(scale=0.3, size=(n, n_operators))
    c[0] = 0.0
    return c


def smefit_chi2(card: dict[str, Any], c: np.ndarray) -> Iterator[float]:
    """Yield the chi2 of SMEFiT at each row of c, in float64; the card's operators must be sorted by name."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from smefit.chi2 import compute_chi2
    from smefit.loader import load_datasets

    paths = folders()
    if paths is None:
        raise RuntimeError("set SMEFT_UNBINNED_DATA")
    quadratic, multiplicative = card["use_quad"], card["use_multiplicative_prescription"]
    loaded = load_datasets(
        paths["data_path"],
        card["datasets"],
        {name: {} for name in card["operators"]},
        quadratic,
        card["use_theory_covmat"],
        card["use_t0"],
        multiplicative,
        theory_path=paths["theory_path"],
    )
    if list(loaded.OperatorsNames) != list(card["operators"]):
        raise RuntimeError(f"SMEFiT has the coefficients {loaded.OperatorsNames}")
    for row in c:
        yield float(compute_chi2(loaded, row, quadratic, multiplicative))


def every_dataset() -> dict[str, Any]:
    """Return the card of all datasets at LO, with every operator that has a linear correction somewhere."""
    from smeft_unbinned.datasets import GaussianDataset

    paths = folders()
    if paths is None:
        raise RuntimeError("set SMEFT_UNBINNED_DATA")
    datasets = [{"name": name} for name in sorted(p.stem for p in paths["data_path"].glob("*.yaml"))]
    linear = GaussianDataset.load(datasets, **paths, use_quad=False)
    return {**BASE, "datasets": datasets, "operators": linear.operators}
